package balancer

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/halleycomet/halley/internal/tunnel"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

const (
	// drainShare is the part of the time of a drain in which all clients have their
	// turn, so that whoever cannot be moved at once has some time, too.
	drainShare = 0.75
	// drainGrace is how long a client that holds no poll has for its next one before a
	// drain is taken for done.
	drainGrace = 2 * time.Second
	// drainLook is the pause between two looks at how far a drain has come.
	drainLook = 50 * time.Millisecond
	// drainForce is how long before the deadline the polls that are still held are
	// broken off.
	drainForce = 2 * time.Second
)

// drain moves the clients of one comet to others, at a bounded rate and inside a
// deadline. The comet gets no new sessions meanwhile, which is the fleet's doing. Its
// polls have their turn as they come (drainpoll.go); its tunnels are closed one after
// the other.
//
// A comet that has said goodbye itself moves its clients itself: it knows what waits
// for them. It has no drain here.
type drain struct {
	// Fixed after construction.
	comet    *comet
	began    time.Time
	deadline time.Time
	limit    *rate.Limiter // the turns of polls; see turn
	partings partings      // has a lock of its own

	// Safe for any goroutine.
	unused  atomic.Int64 // turns that were given back
	polled  atomic.Int64 // when one of its polls was last seen, in Unix nanoseconds
	polls   atomic.Int64 // clients moved by their poll
	tunnels atomic.Int64 // tunnels closed
	forced  atomic.Int64 // of the polls, those whose client may miss what waited for it
	done    atomic.Bool  // nobody is left who shows himself
}

// newDrain makes the drain of a comet with about as many sessions.
func newDrain(c *comet, cfg *Config, sessions int64) *drain {
	now := time.Now()
	perSecond := drainRate(cfg, sessions)
	return &drain{
		comet: c, began: now, deadline: now.Add(cfg.DrainTime),
		limit: rate.NewLimiter(rate.Limit(perSecond), 1+int(perSecond/20)),
	}
}

// drainRate is how many clients have their turn in a second: as many as configured, or
// what it takes to be done in time.
func drainRate(cfg *Config, sessions int64) float64 {
	configured := cfg.DrainRate
	if configured == 0 {
		configured = cfg.HandshakeRate
	}
	return max(float64(configured), float64(sessions)/(drainShare*cfg.DrainTime.Seconds()))
}

// turn takes a turn for a poll, if one is left.
func (dr *drain) turn() bool {
	for n := dr.unused.Load(); n > 0; n = dr.unused.Load() {
		if dr.unused.CompareAndSwap(n, n-1) {
			return true
		}
	}
	return dr.limit.Allow()
}

// giveBack is called when a turn was for nothing: by address comes also who was moved
// already. As many as the limit allows at once are kept for others.
func (dr *drain) giveBack() {
	if dr.unused.Add(1) > int64(dr.limit.Burst()) {
		dr.unused.Add(-1)
	}
}

// leave takes the drain off a comet that drains no more. If it drains again by now, whoever
// was to begin that may have found this one there still: then this one goes on.
func (dr *drain) leave() (left bool) {
	c := dr.comet
	c.drain.Store(nil)
	return !c.is(Draining) || !c.drain.CompareAndSwap(nil, dr)
}

// late tells whether the deadline is so near, or over, that nothing waits any more.
func (dr *drain) late(now time.Time) bool { return !now.Before(dr.deadline.Add(-dr.force())) }

// force is how long before the deadline polls are broken off.
func (dr *drain) force() time.Duration {
	return min(drainForce, dr.deadline.Sub(dr.began)/4)
}

// window is the time over which n tunnels are closed: at the pace of the drain, and not
// beyond its deadline, after which those that still come have a moment.
func (dr *drain) window(n int, now time.Time) time.Duration {
	window := time.Duration(float64(n) / float64(dr.limit.Limit()) * float64(time.Second))
	return max(min(window, dr.deadline.Sub(now)), 2*drainLook)
}

// left counts the polls and tunnels that the comet has through this balancer.
func (dr *drain) left() (polls, tunnels int64) {
	return dr.comet.load.held.Load(), int64(dr.comet.tunnels.Len())
}

// quiet tells whether nobody is left who shows himself.
func (dr *drain) quiet(now time.Time) bool {
	polls, tunnels := dr.left()
	return polls == 0 && tunnels == 0 && now.Sub(time.Unix(0, dr.polled.Load())) > drainGrace && now.Sub(dr.began) > drainGrace
}

// DrainStatus is how far the draining of a comet has come, as far as this balancer
// moves its clients.
type DrainStatus struct {
	// Began is when it did, Deadline when polls that are still held are broken off.
	Began    time.Time `json:"began"`
	Deadline time.Time `json:"deadline"`
	// Polls and Tunnels are the clients moved so far: by their poll, and by the end of
	// their WebSocket.
	Polls   int64 `json:"polls"`
	Tunnels int64 `json:"tunnels"`
	// Forced are those among the polls that could not be asked for all that waited.
	Forced int64 `json:"forced"`
	// Done tells that no poll and no WebSocket is left.
	Done bool `json:"done"`
}

func (dr *drain) status() *DrainStatus {
	if dr == nil {
		return nil
	}
	return &DrainStatus{
		Began: dr.began, Deadline: dr.deadline, Polls: dr.polls.Load(), Tunnels: dr.tunnels.Load(),
		Forced: dr.forced.Load(), Done: dr.done.Load(),
	}
}

// drains are the comets that begin to drain, until Balancer.runDrains takes them.
type drains struct {
	wake   chan struct{} // buffer 1
	active atomic.Int64  // comets that are being emptied

	mu sync.Mutex
	// Guarded by mu.
	due []*comet
}

func newDrains() *drains { return &drains{wake: make(chan struct{}, 1)} }

// begin is told of a comet that begins to drain, and why.
func (ds *drains) begin(c *comet, why cause) {
	if why == causeGoodbye || why == causeSuperseded {
		return // it moves its clients itself
	}
	ds.mu.Lock()
	ds.due = append(ds.due, c)
	ds.mu.Unlock()
	select {
	case ds.wake <- struct{}{}:
	default:
	}
}

func (ds *drains) take() []*comet {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	due := ds.due
	ds.due = nil
	return due
}

// runDrains empties the comets that drain, until ctx ends.
func (b *Balancer) runDrains(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		for _, c := range b.drains.take() {
			running.Go(func() { b.runDrain(ctx, c) })
		}
		select {
		case <-b.drains.wake:
		case <-ctx.Done():
			return
		}
	}
}

// runDrain empties one comet, until it drains no more, is down or gone. When nobody is
// left it goes on, in case somebody comes.
func (b *Balancer) runDrain(ctx context.Context, c *comet) {
	ctx, cancel := context.WithCancel(ctx)
	sessions := max(c.load.busy.Load(), c.load.gossiped.Load())
	dr := newDrain(c, b.conf(), sessions)
	if !c.drain.CompareAndSwap(nil, dr) {
		cancel()
		return // it drains already
	}
	b.drains.active.Add(1)
	var closing sync.WaitGroup
	defer func() {
		b.drains.active.Add(-1)
		cancel()
		closing.Wait()
	}()
	polls, tunnels := dr.left()
	b.log.Info("draining", zap.String("comet", c.name), zap.Int64("polls", polls), zap.Int64("tunnels", tunnels),
		zap.Int("per_second", int(dr.limit.Limit())), zap.Duration("within", dr.deadline.Sub(dr.began)))
	closing.Go(func() { b.closeTunnels(ctx, dr) })
	closing.Go(func() { b.part(ctx, dr) })
	tick := time.NewTicker(drainLook)
	defer tick.Stop()
	broken := false
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if !c.is(Draining) && dr.leave() {
				b.drainEnds(dr, "draining ended")
				return
			}
			if !broken && dr.late(now) && b.fleet.snapshot().takers() > 0 {
				broken = true
				c.up.letGo()
				b.lanes.letGo(c.up)
			}
			if quiet := dr.quiet(now); quiet != dr.done.Load() {
				dr.done.Store(quiet)
				if quiet {
					b.drainEnds(dr, "drained")
				}
			}
		}
	}
}

func (b *Balancer) drainEnds(dr *drain, what string) {
	polls, tunnels := dr.left()
	b.log.Info(what, zap.String("comet", dr.comet.name), zap.Int64("polls", dr.polls.Load()), zap.Int64("tunnels", dr.tunnels.Load()),
		zap.Int64("forced", dr.forced.Load()), zap.Int64("polls_left", polls), zap.Int64("tunnels_left", tunnels),
		zap.Stringer("state", dr.comet.State()), zap.Duration("after", time.Since(dr.began)))
}

// closeTunnels closes the tunnels to a comet that drains, those that come meanwhile
// included, while there is a comet where their clients can go.
func (b *Balancer) closeTunnels(ctx context.Context, dr *drain) {
	tick := time.NewTicker(drainLook)
	defer tick.Stop()
	for ctx.Err() == nil {
		if n := dr.comet.tunnels.Len(); n > 0 && b.fleet.snapshot().takers() > 0 {
			dr.comet.tunnels.CloseOver(ctx, tunnel.Draining, dr.window(n, time.Now()))
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
