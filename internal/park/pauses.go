package park

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// restAfter is how long a line waits at most for its next request before it
	// rests. Coming back from there costs about as much as the request.
	restAfter = 200 * time.Millisecond
	// pauseCrowd is how many lines may wait so at a time, each in a goroutine.
	pauseCrowd = 1024
)

// pauses interrupts lines that have waited for their next request for half of
// restAfter to the whole. A timer or a deadline for each pause would cost a tenth of
// a short request: a timer that is the next one of all wakes the thread that waits
// for the network.
//
// The lock order is line, then pauses.
type pauses struct {
	waiting atomic.Int32 // lines

	mu sync.Mutex
	// guarded by mu
	newer, older []respite
	timer        *time.Timer
	timing       bool // timer runs
}

// past is a deadline that is over. (Not the zero time, which means none.)
var past = time.Unix(1, 0)

// respite is one wait of a line.
type respite struct {
	line *Line
	nth  uint32
}

// begin notes a pause; false when too many lines wait.
func (p *pauses) begin(c *Line, nth uint32) bool {
	if p.waiting.Add(1) > pauseCrowd {
		p.waiting.Add(-1)
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.newer = append(p.newer, respite{c, nth})
	if !p.timing {
		p.timing = true
		if p.timer == nil {
			p.timer = time.AfterFunc(restAfter/2, p.tick)
		} else {
			p.timer.Reset(restAfter / 2)
		}
	}
	return true
}

// end notes the end of a pause.
func (p *pauses) end() { p.waiting.Add(-1) }

// tick interrupts the older pauses, of which most are over.
func (p *pauses) tick() {
	p.mu.Lock()
	old := p.older
	p.newer, p.older = nil, p.newer
	if p.timing = len(p.older) > 0; p.timing {
		p.timer.Reset(restAfter / 2)
	}
	p.mu.Unlock()
	for _, o := range old {
		o.line.interrupt(o.nth)
	}
	if cap(old) > pauseCrowd {
		return
	}
	clear(old)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.newer == nil {
		p.newer = old[:0]
	}
}

// pause waits for the next request in the goroutine. It is over, and the deadline for
// reading is any, when the line is to rest, whether something was read or not.
func (c *Line) pause(p []byte) (n int, over bool, err error) {
	all := &c.gate.lot.pauses
	c.mu.Lock()
	c.waited++
	if !all.begin(c, c.waited) {
		c.mu.Unlock()
		return 0, true, nil
	}
	c.waits = true
	c.mu.Unlock()
	n, err = c.Conn.Read(p)
	all.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	over, c.waits = !c.waits, false
	return n, over, err
}

// interrupt ends the nth pause of the line, if it lasts.
func (c *Line) interrupt(nth uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waits && c.waited == nth {
		c.waits = false
		c.Conn.SetReadDeadline(past)
	}
}
