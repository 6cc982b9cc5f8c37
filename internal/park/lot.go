package park

import (
	"sync"
	"sync/atomic"
	"time"
)

// Lot keeps the HTTP connections of one program that are parked, and those that are
// busy without their HTTP server knowing: that are taken or being answered, or that
// came back from resting. Lines that have never been here are the HTTP server's own
// affair.
type Lot struct {
	// fixed after construction
	set *Set

	shift   Shift
	pauses  pauses
	closing atomic.Bool // set once, under mu

	mu sync.Mutex
	// guarded by mu
	resting lineList      // the one that has rested longest first
	busy    lineList      // ours, and not resting
	empty   chan struct{} // closed when, while closing, nothing is here any more
}

// NewLot makes a Lot whose connections wait in the set. It starts nothing: lines are
// parked while the set's Run runs, and who runs that also calls Sweep now and then, and
// Close, before the set's Run ends.
func NewLot(set *Set) *Lot { return &Lot{set: set} }

// adopt notes that a line is ours from now on; false when the end has begun.
func (l *Lot) adopt(c *Line) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing.Load() {
		return false
	}
	if c.in == nil {
		l.busy.append(c)
	}
	return true
}

// rest notes that a line waits for its next request; false when it may not.
func (l *Lot) rest(c *Line, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing.Load() {
		return false
	}
	c.leave()
	c.since = now
	l.resting.append(c)
	return true
}

// wake ends the rest of a line; false when it does not rest.
func (l *Lot) wake(c *Line, now time.Time) (rested time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.in != &l.resting {
		return 0, false
	}
	c.leave()
	l.busy.append(c)
	return now.Sub(c.since), true
}

// drop forgets a line, which is closed or has become a socket.
func (l *Lot) drop(c *Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.leave()
	l.checkLocked()
}

// Sweep closes the lines that have rested for too long: for the IdleTimeout of their
// server, and up to the time between two calls more.
func (l *Lot) Sweep(now time.Time) {
	for _, c := range l.overdue(now) {
		c.shut()
	}
}

// overdue takes these lines out.
func (l *Lot) overdue(now time.Time) (all []*Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := l.resting.first; c != nil; {
		next := c.next
		switch limit := c.gate.idle; {
		case limit == 0: // of a server without timeouts
		case now.Sub(c.since) < limit:
			return all // there is one limit, or hardly more
		default:
			c.leave()
			all = append(all, c)
		}
		c = next
	}
	return all
}

// Vacate closes up to n of the lines that have rested longest, and returns how many.
func (l *Lot) Vacate(n int) int {
	l.mu.Lock()
	var out []*Line
	for c := l.resting.first; c != nil && len(out) < n; c = l.resting.first {
		c.leave()
		out = append(out, c)
	}
	l.mu.Unlock()
	for _, c := range out {
		c.shut()
	}
	return len(out)
}

// Close begins the end: lines that rest are closed, and none will any more; those that
// are accepted from now on are not parked. The channel is closed when the others have
// been answered and are closed, too, which those who took them have to see to, or
// Abort. To be called once; Wait comes last.
func (l *Lot) Close() (empty <-chan struct{}) {
	l.mu.Lock()
	l.closing.Store(true)
	l.empty = make(chan struct{})
	resting := l.resting.all()
	l.checkLocked()
	l.mu.Unlock()
	for _, c := range resting {
		c.shut()
	}
	return l.empty
}

// Abort closes what is left of the lines.
func (l *Lot) Abort() {
	l.mu.Lock()
	busy := l.busy.all()
	l.mu.Unlock()
	for _, c := range busy {
		c.shut()
	}
}

// Wait waits, after the channel of Close has been closed, for the goroutines that
// serve lines which have come back from resting. One that comes back in that moment,
// after Abort, is closed.
func (l *Lot) Wait() { l.shift.Wait() }

// Counts is how many lines there are of some kinds.
type Counts struct {
	Resting int // between two requests, without a goroutine
	Busy    int // not resting, and have been parked before
	Held    int // of those: taken, without a goroutine
	Behind  int // of those: taken, and a request behind the one that is held waits in a goroutine
}

// Counts looks at each line, for tests and inspection.
func (l *Lot) Counts() (n Counts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := l.resting.first; c != nil; c = c.next {
		n.Resting++
	}
	for c := l.busy.first; c != nil; c = c.next {
		n.Busy++
		c.mu.Lock()
		switch {
		case c.held == nil:
		case c.away:
			n.Held++
		case c.behind != nil:
			n.Behind++
		}
		c.mu.Unlock()
	}
	return n
}

func (l *Lot) checkLocked() {
	if l.closing.Load() && l.busy.first == nil && l.resting.first == nil {
		select {
		case <-l.empty:
		default:
			close(l.empty)
		}
	}
}
