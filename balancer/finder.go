package balancer

import (
	"context"
	"sync"
	"time"

	"github.com/halleycomet/halley/internal/reread"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// fileLook is the pause between two looks at the file of comets.
const fileLook = time.Second

// finder knows the comets that are listed: in the configuration, in a file, and in the
// answers of name servers to the names in both. The fleet asks it for the whole, when
// it is told that something changed.
//
// Its goroutines belong to run: one that looks at the file, one for each name.
type finder struct {
	// Fixed after construction.
	live    *live
	log     *zap.Logger
	dns     resolver
	file    *reread.Files // nil without one
	lookups *prometheus.CounterVec
	changed func()        // tells the fleet
	wake    chan struct{} // buffer 1: the names may be others

	mu sync.Mutex
	// Guarded by mu.
	fromFile []entry
	names    map[lookup]*followed
}

// followed is a name that is asked for again and again.
type followed struct {
	answers
	stop context.CancelFunc
}

// newFinder reads the file once: a mistake in it is one in the configuration.
func newFinder(live *live, m *metrics, changed func()) (*finder, error) {
	cfg := live.conf()
	f := &finder{
		live: live, log: cfg.Log, dns: newResolver(cfg.Discovery.DNSServer), lookups: m.lookups,
		changed: changed, wake: make(chan struct{}, 1), names: make(map[lookup]*followed),
	}
	if path := cfg.Discovery.CometsFile; path != "" {
		f.file = reread.New(f.takeFile, path)
		if err := f.file.Load(); err != nil {
			return nil, err
		}
	}
	f.ask()
	return f, nil
}

// list is every comet that is listed, and whether each name has been asked for at
// least once. Of several entries for one comet the first counts: those of the
// configuration go before those of the file.
func (f *finder) list() (all []listedComet, complete bool) {
	in := f.live.now.Load()
	f.mu.Lock()
	defer f.mu.Unlock()
	complete = true
	known := make(map[string]bool)
	for _, entries := range [][]entry{in.listed, f.fromFile} {
		for _, e := range entries {
			some := []listedComet{e.one}
			if e.lookup != (lookup{}) {
				some = nil
				if at := f.names[e.lookup]; at != nil && at.asked {
					some = at.list
				} else {
					complete = false
				}
			}
			for _, l := range some {
				if known[l.addr] {
					continue
				}
				known[l.addr] = true
				if e.lookup != (lookup{}) {
					l.tier += e.one.tier
					if !e.lookup.srv {
						l.weight = e.one.weight
					}
				}
				l.path = in.Path
				all = append(all, l)
			}
		}
	}
	return all, complete
}

// ask has the names looked at again: which there are, and what they stand for.
func (f *finder) ask() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// takeFile takes the contents of the file over.
func (f *finder) takeFile(contents [][]byte) error {
	list, err := parseListFile(contents[0])
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.fromFile = list
	f.mu.Unlock()
	f.ask()
	f.changed()
	return nil
}

// run follows the file and the names until ctx ends.
func (f *finder) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	if f.file != nil {
		all.Go(func() { f.file.Run(ctx, fileLook, f.log) })
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		}
		f.mu.Lock()
		wanted := f.wanted()
		for l, at := range f.names {
			if !wanted[l] {
				at.stop()
				delete(f.names, l)
				f.lookups.DeletePartialMatch(prometheus.Labels{"name": l.String()})
			}
		}
		for l := range wanted {
			if f.names[l] != nil {
				continue
			}
			each, stop := context.WithCancel(ctx)
			at := &followed{stop: stop}
			f.names[l] = at
			all.Go(func() { f.follow(each, l, at) })
		}
		f.mu.Unlock()
	}
}

// wanted are the names that stand in the lists. The caller holds mu.
func (f *finder) wanted() map[lookup]bool {
	wanted := make(map[lookup]bool)
	for _, entries := range [][]entry{f.live.now.Load().listed, f.fromFile} {
		for _, e := range entries {
			if e.lookup != (lookup{}) {
				wanted[e.lookup] = true
			}
		}
	}
	return wanted
}

// follow asks for a name until ctx ends.
func (f *finder) follow(ctx context.Context, l lookup, at *followed) {
	for {
		got, err := lookUp(ctx, f.dns, l)
		if ctx.Err() != nil {
			return
		}
		f.answered(l, at, got, err)
		pause := time.NewTimer(jitter(f.live.conf().Discovery.DNSInterval))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

// answered takes an answer over. After a failure, and an answer that names no comet,
// what was known stays: a name server that is ill must not send all clients away.
func (f *finder) answered(l lookup, at *followed, got []listedComet, err error) {
	result := resultOf(err)
	f.mu.Lock()
	if f.names[l] != at {
		f.mu.Unlock()
		return // it is not asked for any more
	}
	f.lookups.WithLabelValues(l.String(), string(result)).Inc()
	changed := !at.asked
	at.asked = true
	if result == lookupOK && at.take(got) {
		changed = true
	}
	known := len(at.list)
	was := at.trouble
	at.trouble = result
	f.mu.Unlock()
	switch {
	case result == lookupOK && (changed || was != lookupOK && was != ""):
		f.log.Info("comets looked up", zap.Stringer("name", l), zap.Int("comets", known))
	case result != lookupOK && was != result:
		f.log.Warn("comets cannot be looked up: those that are known stay", zap.Stringer("name", l),
			zap.Int("comets", known), zap.String("reason", string(result)), zap.Error(err))
	}
	if changed {
		f.changed()
	}
}

// listReloads counts the changes of the file of comets when it is asked to.
type listReloads struct{ finder *finder }

var listReloadsDesc = prometheus.NewDesc("halley_balancer_list_reloads_total",
	"Changes of the file of comets, by whether they could be used.", []string{"result"}, nil)

// Describe is that of a prometheus.Collector.
func (listReloads) Describe(ch chan<- *prometheus.Desc) { ch <- listReloadsDesc }

// Collect is that of a prometheus.Collector.
func (l listReloads) Collect(ch chan<- prometheus.Metric) {
	if l.finder.file == nil {
		return
	}
	ok, failed := l.finder.file.Counts()
	ch <- prometheus.MustNewConstMetric(listReloadsDesc, prometheus.CounterValue, float64(ok), "ok")
	ch <- prometheus.MustNewConstMetric(listReloadsDesc, prometheus.CounterValue, float64(failed), "failed")
}
