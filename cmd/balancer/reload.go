package main

import (
	"context"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/balancer"
	"github.com/halleycomet/halley/internal/cli"
	"github.com/halleycomet/halley/internal/reread"
)

// watchPeriod is how often the file of --config is looked at. A file that is wrong is
// told of at the second look: it may just be being written.
const watchPeriod = time.Second

// logLevel is a setting of the program that a reload takes over; all others are the
// balancer's.
const logLevel = "log-level"

// reloader reads the settings again, from all their sources, and puts in force what
// can be while the balancer runs: at SIGHUP, and when the file has changed.
//
// Its goroutine is that of run.
type reloader struct {
	// Fixed after construction.
	log      *zap.Logger
	level    zap.AtomicLevel
	balancer interface {
		Reload(balancer.Config) (applied, needRestart []string, err error)
	}
	again func() (*settings, error)
	start *settings      // what the program began with
	hangs chan os.Signal // SIGHUP
	file  *reread.Files  // nil: not watched
	total *prometheus.CounterVec
	good  prometheus.Gauge
	last  prometheus.Gauge

	mu sync.Mutex
	// Guarded by mu.
	logged  cli.LogLevel // that of the settings, whatever the admin made of it
	running bool         // the start is over
}

func newReloader(n *process, call cli.Call, hangs chan os.Signal) *reloader {
	r := &reloader{
		log: n.log, level: n.level, balancer: n.balancer, start: n.set, hangs: hangs, logged: *n.set.LogLevel,
		again: func() (set *settings, err error) {
			err = call.Again(func(s *cli.Settings) cli.Action {
				set = declareServe(s)
				return cli.Action{Check: set.check}
			})
			return set, err
		},
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "halley", Name: "config_reloads_total",
			Help: "Readings of the settings while the program ran, by result: applied (also if some need a restart), unchanged, failed.",
		}, []string{"result"}),
		good: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "halley", Name: "config_last_reload_success", Help: "1 if the last reading of the settings had no mistake, else 0.",
		}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "halley", Name: "config_last_reload_success_timestamp_seconds", Help: "When the settings were last read without a mistake, in Unix time.",
		}),
	}
	for _, result := range []string{"applied", "unchanged", "failed"} {
		r.total.WithLabelValues(result)
	}
	r.good.Set(1)
	r.last.SetToCurrentTime()
	if path := n.set.Source.File(); path != "" && n.set.watch {
		r.file = reread.New(func([][]byte) error { return r.reload() }, path)
		r.file.Tell(func(err error) {
			if err != nil {
				r.failed(err)
			}
		})
		// What the file holds now is known, unless it has changed since the start: a
		// mistake in it is told by the first looks of run.
		_ = r.file.Load()
	}
	return r
}

func (r *reloader) collectors() []prometheus.Collector {
	return []prometheus.Collector{r.total, r.good, r.last}
}

// run waits for reasons to reload until ctx ends.
func (r *reloader) run(ctx context.Context) error {
	r.mu.Lock()
	r.running = true
	r.mu.Unlock()
	var watching sync.WaitGroup
	if r.file != nil {
		watching.Go(func() { r.file.Run(ctx, watchPeriod, r.log) })
	}
	defer watching.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.hangs:
			if err := r.reload(); err != nil {
				r.failed(err)
			}
		}
	}
}

// reload reads the settings and puts them in force. With a mistake in them everything
// stays as it is.
func (r *reloader) reload() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next, err := r.again()
	if err != nil {
		return err
	}
	applied, restart, err := r.balancer.Reload(next.balancer)
	if err != nil {
		return err
	}
	if level := *next.LogLevel; level != r.logged {
		r.level.SetLevel(level.Zap())
		r.logged = level
		applied = append(applied, logLevel)
	}
	own, _ := balancer.SettingNames()
	for _, name := range r.start.Source.Changed(next.Source) {
		if name != logLevel && !slices.Contains(own, name) {
			restart = append(restart, name)
		}
	}
	result := "unchanged"
	if len(applied)+len(restart) > 0 {
		result = "applied"
	} else if !r.running {
		return nil // the file is as the start found it: nobody asked for this reading
	}
	r.total.WithLabelValues(result).Inc()
	r.good.Set(1)
	r.last.SetToCurrentTime()
	log := r.log.Info
	if len(restart) > 0 {
		log = r.log.Warn
	}
	log("settings were read again", zap.Strings("applied", applied), zap.Strings("need_restart", restart))
	return nil
}

// failed tells of settings with mistakes.
func (r *reloader) failed(err error) {
	r.total.WithLabelValues("failed").Inc()
	r.good.Set(0)
	r.log.Error("the settings have mistakes: those of before stay in force", zap.Strings("mistakes", cli.Mistakes(err)))
}
