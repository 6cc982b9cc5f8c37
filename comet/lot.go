package comet

import (
	"sync"
	"time"
)

// lot holds the lines that rest, between two requests, and those that are busy
// without their HTTP server knowing: whose held connect is parked or being answered,
// or that came back from resting. Lines that have never been here are the HTTP
// server's own affair.
type lot struct {
	mu sync.Mutex
	// guarded by mu
	closing bool
	resting lineList // the one that has rested longest first
	busy    lineList
	empty   chan struct{} // closed when, while closing, nothing is here any more
}

// adopt notes that a line is ours from now on; false when the end has begun.
func (l *lot) adopt(c *line) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return false
	}
	if c.in == nil {
		l.busy.append(c)
	}
	return true
}

// rest notes that a line waits for its next request; false when it may not.
func (l *lot) rest(c *line, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return false
	}
	c.leave()
	c.since = now
	l.resting.append(c)
	return true
}

// wake ends the rest of a line; false when it does not rest.
func (l *lot) wake(c *line, now time.Time) (rested time.Duration, ok bool) {
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
func (l *lot) drop(c *line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.leave()
	l.checkLocked()
}

// overdue takes out the lines that have rested for too long.
func (l *lot) overdue(now time.Time) (all []*line) {
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

// vacate closes up to n of the lines that have rested longest, and returns how many.
func (l *lot) vacate(n int) int {
	l.mu.Lock()
	var out []*line
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

// close begins the end: lines that rest are closed, and none will any more. The
// channel is closed when the others have been answered and are closed, too.
func (l *lot) close() (empty <-chan struct{}) {
	l.mu.Lock()
	l.closing, l.empty = true, make(chan struct{})
	resting := l.resting.all()
	l.checkLocked()
	l.mu.Unlock()
	for _, c := range resting {
		c.shut()
	}
	return l.empty
}

// abort closes what is left of the lines.
func (l *lot) abort() {
	l.mu.Lock()
	busy := l.busy.all()
	l.mu.Unlock()
	for _, c := range busy {
		c.shut()
	}
}

func (l *lot) checkLocked() {
	if l.closing && l.busy.first == nil && l.resting.first == nil {
		select {
		case <-l.empty:
		default:
			close(l.empty)
		}
	}
}

// lineList is a list without elements of its own. It is guarded by the lot.
type lineList struct{ first, last *line }

func (l *lineList) append(c *line) {
	c.in, c.prev, c.next = l, l.last, nil
	if l.last != nil {
		l.last.next = c
	} else {
		l.first = c
	}
	l.last = c
}

// leave takes the line out of the list in which it is.
func (c *line) leave() {
	l := c.in
	if l == nil {
		return
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.last = c.prev
	}
	c.in, c.prev, c.next = nil, nil, nil
}

func (l *lineList) all() (all []*line) {
	for c := l.first; c != nil; c = c.next {
		all = append(all, c)
	}
	return all
}
