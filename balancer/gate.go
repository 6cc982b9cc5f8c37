package balancer

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"
)

// use is what a connection to a comet is used for.
type use uint8

const (
	// useRequest: a request that waits for its answer, and that the comet has no
	// reason to hold.
	useRequest use = iota
	// usePoll: a request with a /meta/connect, which the comet may hold.
	usePoll
	// useTunnel: a WebSocket, from its upgrade on.
	useTunnel

	uses = int(useTunnel) + 1
)

// String is the metric label.
func (u use) String() string { return [uses]string{"request", "poll", "tunnel"}[u] }

// gate counts what a comet is used for and keeps it within the limits of one comet
// (CometLimits). What finds no room may queue for it, each use in its order; nobody who comes later goes before
// those in the queue.
//
// Counting takes no lock, and neither does entering or leaving while nobody queues.
// The locks of a gate are taken while no other is held, and none is taken under it.
type gate struct {
	// Fixed after construction.
	limits func() *Limits // those of now

	// Safe for any goroutine.
	conns   atomic.Int64
	inUse   [uses]atomic.Int64
	waiters atomic.Int64       // in all queues
	queued  [uses]atomic.Int64 // in each

	mu sync.Mutex
	// Guarded by mu.
	queues [uses]list.List // of *turn, the first to come first
	next   uint64          // number of the next turn
}

func newGate(limits func() *Limits) *gate { return &gate{limits: limits} }

// slot is the right to use one connection, until leave is called. The zero value is
// none.
type slot struct {
	gate *gate
	use  use
}

// enter takes a slot if there is room and nobody queues for one. It is meant for the
// fast path: no lock, no allocation, two atomic additions. Who gets ok must call leave
// once, when the answer has been passed on or the tunnel has ended; who does not goes
// the slow way, which queues (Balancer.enter).
func (g *gate) enter(u use) (s slot, ok bool) {
	if g.queued[u].Load() > 0 || !g.take(u) {
		if g.waiters.Load() > 0 {
			g.handOver() // take may have stood in somebody's way for a moment
		}
		return slot{}, false
	}
	return slot{g, u}, true
}

// leave gives the slot back, to the first in the queue that it fits.
func (s slot) leave() {
	g := s.gate
	if g == nil {
		return
	}
	g.inUse[s.use].Add(-1)
	g.conns.Add(-1)
	if g.waiters.Load() > 0 {
		g.handOver()
	}
}

// take counts one more if that is within the limits.
func (g *gate) take(u use) bool {
	l := g.limits()
	if !addBelow(&g.conns, l.Comet.MaxConns) {
		return false
	}
	if !addBelow(&g.inUse[u], l.ofUse(u)) {
		g.conns.Add(-1)
		return false
	}
	return true
}

// ofUse is the limit of one use; 0 is none.
func (l *Limits) ofUse(u use) int {
	switch u {
	case useRequest:
		return l.Comet.MaxWaiting
	case usePoll:
		return l.Comet.MaxHeld
	}
	return 0
}

// addBelow adds one to n unless it has reached limit; 0 is no limit.
func addBelow(n *atomic.Int64, limit int) bool {
	if limit <= 0 {
		n.Add(1)
		return true
	}
	for {
		have := n.Load()
		if have >= int64(limit) {
			return false
		}
		if n.CompareAndSwap(have, have+1) {
			return true
		}
	}
}

// turn is a place in the queue. ready is closed when it is over: there is a slot, or
// the comet is down.
type turn struct {
	use    use
	number uint64
	since  time.Time
	ready  chan struct{}

	// Guarded by gate.mu, and fixed once ready is closed.
	at      *list.Element // nil once it is over
	granted bool
}

// queue takes the last place in the queue. It is not ok when the queue is full.
func (g *gate) queue(u use) (t *turn, ok bool) {
	g.mu.Lock()
	if g.waiters.Load() >= int64(g.limits().Comet.MaxQueue) {
		g.mu.Unlock()
		return nil, false
	}
	t = &turn{use: u, number: g.next, since: time.Now(), ready: make(chan struct{})}
	g.next++
	t.at = g.queues[u].PushBack(t)
	g.queued[u].Add(1)
	g.waiters.Add(1)
	g.mu.Unlock()
	g.handOver() // whoever left before did not see it
	return t, true
}

// end gives a place up. granted tells that it became a slot before; it is the caller's.
func (g *gate) end(t *turn) (s slot, granted bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.at != nil {
		g.over(t)
	}
	if !t.granted {
		return slot{}, false
	}
	return slot{g, t.use}, true
}

// handOver gives what room there is to those who queue: of the first ones of each
// queue to the one that came first, as far as its own limit allows it.
func (g *gate) handOver() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		var first *turn
		for u := range g.queues {
			head := g.queues[u].Front()
			if head == nil {
				continue
			}
			t := head.Value.(*turn)
			if (first == nil || t.number < first.number) && g.fits(t.use) {
				first = t
			}
		}
		switch {
		case first == nil:
			return
		case g.take(first.use):
			first.granted = true
			g.over(first)
		case g.fits(first.use):
			return // there are as many connections as there may be, of whatever use
		}
	}
}

// fits reports whether the limit of the use itself leaves room.
func (g *gate) fits(u use) bool {
	limit := g.limits().ofUse(u)
	return limit <= 0 || g.inUse[u].Load() < int64(limit)
}

// over takes a turn out of its queue. The caller holds mu.
func (g *gate) over(t *turn) {
	g.queues[t.use].Remove(t.at)
	t.at = nil
	g.queued[t.use].Add(-1)
	g.waiters.Add(-1)
	close(t.ready)
}

// flush ends all turns without a slot: the comet is down.
func (g *gate) flush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for u := range g.queues {
		for head := g.queues[u].Front(); head != nil; head = g.queues[u].Front() {
			g.over(head.Value.(*turn))
		}
	}
}

// roomy reports whether the comet is far enough below its limits, by a tenth, and
// nobody queues: it does not become full again by the next request.
func (g *gate) roomy() bool {
	l := g.limits()
	below := func(n *atomic.Int64, limit int) bool { return limit <= 0 || n.Load()*10 < int64(limit)*9 }
	return g.waiters.Load() == 0 && below(&g.conns, l.Comet.MaxConns) &&
		below(&g.inUse[usePoll], l.Comet.MaxHeld) && below(&g.inUse[useRequest], l.Comet.MaxWaiting)
}
