package balancer

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/halleycomet/halley/internal/discovery"
	"github.com/halleycomet/halley/internal/sticky"
	"go.uber.org/zap"
)

// maxGraves is how many comets that are gone are remembered, so that their clients
// are told at once to handshake again. Beyond it the oldest is forgotten, whose
// clients are told the same by another comet, a round trip later.
const maxGraves = 1024

// fleet knows the comets: who is there (gossip and list), how each one is (checks,
// and what the requests find out), and the snapshot by which requests are routed.
//
// Its goroutines belong to run: one follows the gossip, one per comet checks it.
type fleet struct {
	// Fixed after construction.
	live    *live
	log     *zap.Logger
	metrics *metrics
	members Members      // nil without gossip
	options routeOptions // draws; the rest is in the configuration
	finder  *discovery.Finder
	learnt  *learnt
	// findLearnt is learnt.find, made once.
	findLearnt func(clientID string) (sticky.Tag, bool)
	check      func(context.Context, *comet) (checkResult, error)
	onDown     func(*comet) // see newFleet
	// onDrain is called, without locks, when a comet that lives begins to drain, and
	// when one that drains is back from being down. The cause is why it does. It is
	// set before run, if at all.
	onDrain func(*comet, cause)

	// Safe for any goroutine.
	snap  atomic.Pointer[snapshot]
	again chan struct{} // buffer 1: the list has changed

	// Guarded by mu.
	mu      sync.Mutex
	comets  map[string]*comet // by name and tag; those that are not gone
	graves  []*comet          // those that are, oldest first
	synced  bool              // the gossip is known, or there is none
	listed  bool              // each name in the list was looked up at least once
	ready   bool
	served  bool            // a comet gets new sessions
	revived time.Time       // when one began to while no other did
	change  chan struct{}   // closed, and replaced, when anything changes
	dirty   bool            // something has changed since the last publish
	downs   []*comet        // for onDown, once mu is free
	drains  []departing     // for onDrain, likewise
	drained map[string]bool // names of those that the admin drains, also before they are known
}

// newFleet builds the fleet of a configuration. onDown is called, without
// locks and never concurrently for one change, when a comet goes down and again when
// it is gone for good: the connections to it are then worth nothing.
func newFleet(live *live, members Members, m *metrics, onDown func(*comet)) (*fleet, error) {
	cfg := live.conf()
	if members == nil && !cfg.lists() {
		return nil, errNobody
	}
	f := &fleet{
		live:    live,
		log:     cfg.Log,
		metrics: m,
		members: members,
		options: routeOptions{choose: rand.IntN, mint: sticky.NewCookie, now: time.Now},
		check:   newChecker(live).check,
		onDown:  onDown,
		comets:  make(map[string]*comet),
		drained: make(map[string]bool),
		synced:  members == nil,
		change:  make(chan struct{}),
		again:   make(chan struct{}, 1),
	}
	f.learnt = newLearnt(f.conf, m)
	f.findLearnt = f.learnt.find
	var err error
	if f.finder, err = discovery.New(f.finderConfig()); err != nil {
		return nil, fmt.Errorf("comets-file: %w", err)
	}
	f.snap.Store(&snapshot{})
	return f, nil
}

// finderConfig is what the finder is made of.
func (f *fleet) finderConfig() discovery.Config {
	cfg := f.conf()
	return discovery.Config{
		File:     cfg.Discovery.CometsFile,
		Entries:  func() []discovery.Entry { return f.live.now.Load().listed },
		Resolver: discovery.NewResolver(cfg.Discovery.DNSServer),
		Pause:    func() time.Duration { return jitter(f.conf().Discovery.DNSInterval) },
		Changed:  f.listChanged,
		Log:      cfg.Log,
	}
}

// conf is the configuration as it is now.
func (f *fleet) conf() *Config { return f.live.conf() }

// listChanged is called when the list of comets may be another.
func (f *fleet) listChanged() {
	select {
	case f.again <- struct{}{}:
	default:
	}
}

// reloaded is called after the configuration has changed.
func (f *fleet) reloaded() {
	f.finder.Refresh()
	f.listChanged()
	for _, c := range f.snapshot().comets {
		c.checkNow() // by the new settings
	}
}

// snapshot is the comets as they are known now.
func (f *fleet) snapshot() *snapshot { return f.snap.Load() }

// changed is closed when the next comet changes its state, comes or goes. Whoever
// waits for a better answer of route takes it before asking route.
func (f *fleet) changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.change
}

// routing is what route depends on, now.
func (f *fleet) routing() routeOptions {
	o, cfg := f.options, f.conf()
	o.place, o.keys, o.slowStart = cfg.Place, cfg.Keys, cfg.Routing.SlowStart
	if cfg.Routing.LearnSessions > 0 {
		o.learnt = f.findLearnt
	}
	o.prefixes = prefixes{cfg.Routing.IPPrefix4, cfg.Routing.IPPrefix6}
	return o
}

// route decides where a request goes, now. A request that could not be delivered may
// be routed again after the fleet was told so.
func (f *fleet) route(r *request) decision {
	d := route(r, f.snapshot(), f.routing())
	if d.comet != nil && r.kind == kindBayeux && (r.handshake || r.upgrade) {
		d.comet.load.placed.Add(1)
	}
	return d
}

// refused reports that a dial to c was refused: its process is gone, and its
// sessions with it.
func (f *fleet) refused(c *comet) { _ = f.fails(c, causeRefused, nil) }

// unreachable reports that c could not be dialled for as long as is worth trying. It is
// spared when too many comets are out of reach.
func (f *fleet) unreachable(c *comet, err error) (spared bool) {
	return f.fails(c, causeUnreachable, err)
}

func (f *fleet) fails(c *comet, why cause, err error) (spared bool) {
	if c = c.living(); !c.lives() {
		return false
	}
	f.update(func() {
		e, _ := f.temper(c, eventFails, why)
		f.transition(c, e, why, zap.Error(err))
		spared = e != eventFails
	})
	return spared
}

// answered reports that c answered a request. It does not prove that c is well
// again (the answer may have been on the way when c died), but it is worth a check.
func (f *fleet) answered(c *comet) {
	if c = c.living(); c.is(Down) {
		c.checkNow()
	}
}

// departing is a comet that begins to drain, and why.
type departing struct {
	comet *comet
	why   cause
}

// update runs do under the lock, then publishes what it changed and calls onDown and
// onDrain.
func (f *fleet) update(do func()) {
	f.mu.Lock()
	do()
	if f.dirty {
		f.dirty = false
		f.publish()
	}
	downs, drains := f.downs, f.drains
	f.downs, f.drains = nil, nil
	f.mu.Unlock()
	for _, c := range downs {
		f.onDown(c)
	}
	for _, d := range drains {
		if f.onDrain != nil {
			f.onDrain(d.comet, d.why)
		}
	}
}

// transition moves a comet by an event and remembers what follows from it. The
// caller holds mu.
func (f *fleet) transition(c *comet, e event, why cause, more ...zap.Field) {
	now, before := time.Now(), c.cond
	c.cond = before.next(e)
	if before.base != c.cond.base {
		c.health.entered(before.base, c.cond.base, now)
		c.certain = false
		if c.cond.base != Suspect {
			c.spared.Store(false)
		}
	}
	c.certain = c.certain || e == eventFails && why.proves()
	c.isFull.Store(c.cond.full)
	from, to := before.state(), c.cond.state()
	if to == from {
		return
	}
	c.recovering = before.base == Down || c.recovering && before.base == Suspect
	if to == Healthy && (from == Unknown || from == Draining || c.recovering) && f.ready {
		c.fresh.Store(now.UnixNano())
	}
	if to == Down || to == Gone {
		if from != Down {
			c.lost.Store(c.load.sessions())
			c.downAt.Store(now.UnixNano())
		}
		f.downs = append(f.downs, c)
	}
	if to == Draining {
		f.drains = append(f.drains, departing{c, c.drains[0]})
	}
	c.state.Store(uint32(to))
	c.since, c.why = now, why
	c.counts.add(f.metrics.transitions, to.String(), string(why))
	f.dirty = true
	level := zap.InfoLevel
	if to == Down {
		level = zap.WarnLevel
		c.checkNow()
	}
	f.log.Log(level, "comet "+to.String(), append(more,
		zap.String("comet", c.name), zap.String("addr", c.Addr), zap.String("tag", string(c.tag)),
		zap.Stringer("from", from), zap.String("reason", string(why)))...)
	if to == Gone {
		f.bury(c)
	}
}

// bury takes a comet that is gone out of service and remembers its tags. The caller
// holds mu.
func (f *fleet) bury(c *comet) {
	if c.forget != nil {
		c.forget()
	}
	delete(f.comets, c.key())
	f.graves = append(f.graves, c)
	if n := len(f.graves) - maxGraves; n > 0 {
		f.graves = slices.Delete(f.graves, 0, n)
	}
	for _, other := range f.comets {
		if other.name == c.name {
			return // another incarnation goes on counting under the name
		}
	}
	f.metrics.forget(c.name)
}

// publish swaps the snapshot and wakes those who wait for a change. The caller holds
// mu.
func (f *fleet) publish() {
	s := &snapshot{
		comets:    f.sorted(),
		byTag:     make(map[sticky.Tag]*comet),
		byNameTag: make(map[sticky.Tag]*comet),
	}
	f.ready = f.ready || f.synced && f.listed && !slices.ContainsFunc(s.comets, func(c *comet) bool { return !c.checked })
	s.ready = f.ready
	served := s.takers() > 0
	if served && !f.served {
		f.revived = time.Now()
	}
	f.served, s.revived = served, f.revived
	// The later win: the living over the dead, the newer over the older, and a name
	// over the URL under which the same comet is or was listed.
	for _, cs := range [][]*comet{f.graves, s.comets} {
		for _, c := range cs {
			s.byNameTag[c.urlTag] = c
			if c.tag != "" {
				s.byTag[c.tag] = c
			}
		}
		for _, c := range cs {
			s.byNameTag[c.nameTag] = c
		}
	}
	f.snap.Store(s)
	close(f.change)
	f.change = make(chan struct{})
}

// sorted lists the comets that are not gone by name, the older incarnation first.
// The caller holds mu.
func (f *fleet) sorted() []*comet {
	comets := make([]*comet, 0, len(f.comets))
	for _, c := range f.comets {
		comets = append(comets, c)
	}
	slices.SortFunc(comets, func(a, b *comet) int {
		return cmp.Or(cmp.Compare(a.name, b.name), a.started.Compare(b.started), cmp.Compare(a.tag, b.tag))
	})
	return comets
}

// reasonsOf are causes as the status tells them.
func reasonsOf(causes []cause) (reasons []string) {
	for _, why := range causes {
		reasons = append(reasons, string(why))
	}
	return reasons
}

// status lists the comets that are not gone.
func (f *fleet) status() []CometStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]CometStatus, 0, len(f.comets))
	for _, c := range f.sorted() {
		out = append(out, CometStatus{
			Name: c.name, URL: c.URL, Tag: string(c.tag), State: c.State().String(),
			Since: c.since, Reason: string(c.why), CheckError: c.health.failure, Load: c.load.sessions(), Gossips: c.gossips,
			Drains: reasonsOf(c.drains), Weight: int(c.share.Load()), Backup: c.tier.Load() > 0,
			Held: c.load.held.Load(), Tunnels: c.tunnels.Len(), Connections: c.up.conns(), Queue: c.limits.waiters.Load(),
			Unknown: c.counts.unknownSessions(), Drain: c.drain.Load().status(),
		})
	}
	return out
}
