package discovery

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

// Config is what a [Finder] needs. It does not change once the finder is made.
type Config struct {
	// File lists comets, beside Entries. Empty: there is none.
	File string

	// Entries are those of the settings, as they are at the time of the call. The finder
	// is to be told when they have changed; see [Finder.Refresh].
	Entries func() []Entry

	// Resolver is asked for the names in all lists.
	Resolver Resolver

	// Pause is the time until a name is looked up again; it is asked for each time.
	Pause func() time.Duration

	// Changed is called, without locks, when the list may be another. It must not wait.
	Changed func()

	// Log is told what is found and what is not.
	Log *zap.Logger
}

// Finder knows the comets that are listed: in the settings, in a file, and in the
// answers of name servers to the names in both.
//
// Its goroutines belong to Run: one that looks at the file, one for each name.
type Finder struct {
	// Fixed after construction.
	cfg     Config
	file    *reread.Files // nil without one
	lookups *prometheus.CounterVec
	wake    chan struct{} // buffer 1: the names may be others

	mu sync.Mutex
	// Guarded by mu.
	fromFile []Entry
	names    map[lookup]*followed
}

// followed is a name that is asked for again and again.
type followed struct {
	answers
	stop context.CancelFunc
}

// New reads the file once, and fails if it cannot be used. It starts nothing.
func New(cfg Config) (*Finder, error) {
	f := &Finder{cfg: cfg, lookups: newLookups(), wake: make(chan struct{}, 1), names: make(map[lookup]*followed)}
	if cfg.File != "" {
		f.file = reread.New(f.takeFile, cfg.File)
		if err := f.file.Load(); err != nil {
			return nil, err
		}
	}
	f.Refresh()
	return f, nil
}

// List is every comet that is listed, and whether each name has been asked for at
// least once. Of several entries for one comet the first counts: those of the settings
// go before those of the file.
func (f *Finder) List() (all []Comet, complete bool) {
	listed := f.cfg.Entries()
	f.mu.Lock()
	defer f.mu.Unlock()
	complete = true
	known := make(map[string]bool)
	for _, entries := range [][]Entry{listed, f.fromFile} {
		for _, e := range entries {
			some := []Comet{e.one}
			if e.lookup != (lookup{}) {
				some = nil
				if at := f.names[e.lookup]; at != nil && at.asked {
					some = at.list
				} else {
					complete = false
				}
			}
			for _, l := range some {
				if known[l.Addr] {
					continue
				}
				known[l.Addr] = true
				if e.lookup != (lookup{}) {
					l.Tier += e.one.Tier
					if !e.lookup.srv {
						l.Weight = e.one.Weight
					}
				}
				all = append(all, l)
			}
		}
	}
	return all, complete
}

// Refresh has the entries looked at again: names that are new are looked up, and those
// that are gone no more.
func (f *Finder) Refresh() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// takeFile takes the contents of the file over.
func (f *Finder) takeFile(contents [][]byte) error {
	list, err := parseFile(contents[0])
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.fromFile = list
	f.mu.Unlock()
	f.Refresh()
	f.cfg.Changed()
	return nil
}

// Run follows the file and the names until ctx ends.
func (f *Finder) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	if f.file != nil {
		all.Go(func() { f.file.Run(ctx, fileLook, f.cfg.Log) })
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		}
		listed := f.cfg.Entries()
		f.mu.Lock()
		wanted := f.wanted(listed)
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

// wanted are the names that stand in the file and among the entries that are listed. The
// caller holds mu.
func (f *Finder) wanted(listed []Entry) map[lookup]bool {
	wanted := make(map[lookup]bool)
	for _, entries := range [][]Entry{listed, f.fromFile} {
		for _, e := range entries {
			if e.lookup != (lookup{}) {
				wanted[e.lookup] = true
			}
		}
	}
	return wanted
}

// follow asks for a name until ctx ends.
func (f *Finder) follow(ctx context.Context, l lookup, at *followed) {
	for {
		got, err := lookUp(ctx, f.cfg.Resolver, l)
		if ctx.Err() != nil {
			return
		}
		f.answered(l, at, got, err)
		pause := time.NewTimer(f.cfg.Pause())
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
func (f *Finder) answered(l lookup, at *followed, got []Comet, err error) {
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
		f.cfg.Log.Info("comets looked up", zap.Stringer("name", l), zap.Int("comets", known))
	case result != lookupOK && was != result:
		f.cfg.Log.Warn("comets cannot be looked up: those that are known stay", zap.Stringer("name", l),
			zap.Int("comets", known), zap.String("reason", string(result)), zap.Error(err))
	}
	if changed {
		f.cfg.Changed()
	}
}
