package park

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// Line is an HTTP connection that can be parked. The HTTP server lets go of it
// because it reads what it takes for the end of the stream between two requests,
// where that is not answered. It then gives all its buffers back and closes the
// line, which does not close the connection but has it rest until there is
// something to read; from there it comes back in a new goroutine.
//
// While it is taken (see [Line.Take]) the line swallows what the HTTP server writes as
// the answer, and is not read before the real one has been written. What the HTTP
// server has read beyond that request stays in its buffer: it keeps its goroutine,
// which waits.
type Line struct {
	// fixed after construction
	net.Conn // the connection itself
	gate     *gate

	// owned by the goroutine in which the HTTP server serves it
	first   bool      // nothing has been read since it was accepted or came back
	idle    bool      // between two requests, and nothing of the next has been read
	clean   bool      // all answers to former requests had left when this one began
	swallow bool      // what is written is not
	handed  bool      // was taken since it was accepted or came back
	pausing bool      // the last pause between two requests was long: it rests at once
	until   time.Time // the deadline that the HTTP server has set for the next request
	ahead   *ahead    // what has been read ahead; nil: nothing
	turn    *Turn     // of the shift; nil: the HTTP server serves it on its own

	mu sync.Mutex
	// guarded by mu
	parked  *Conn         // made when it is needed
	held    Held          // has taken it, and the answer has not been written
	patient bool          // whoever took it last waited for long
	letGo   bool          // the HTTP server was told to let go, and will close
	away    bool          // the HTTP server has let go
	behind  chan struct{} // closed when what is held is answered; nil: nobody waits
	waits   bool          // for the next request, in a pause that can be interrupted
	waited  uint32        // counts these pauses

	// guarded by the lot
	in         *lineList
	prev, next *Line
	since      time.Time
}

// enter notes what the HTTP server does with the line.
func (c *Line) enter(state fasthttp.ConnState) {
	switch state {
	case fasthttp.StateActive:
		c.idle = false
		if c.handed {
			c.awaitAnswer()
		}
	case fasthttp.StateIdle:
		c.idle, c.clean = true, false
	case fasthttp.StateHijacked:
		c.gate.lot.drop(c)
	}
}

// SetReadDeadline is shortened while the line may come to rest.
func (c *Line) SetReadDeadline(t time.Time) error {
	if c.first || c.idle {
		c.until = t
		return nil
	}
	return c.Conn.SetReadDeadline(t)
}

// Read reads. Where the next request would begin it waits only for a moment, if the
// line can rest.
func (c *Line) Read(p []byte) (int, error) {
	if c.ahead != nil {
		return c.takeAhead(p), nil
	}
	if !c.first && !c.idle {
		c.turn.Pass()
		return c.Conn.Read(p)
	}
	if len(p) == 1 {
		return c.readAhead(p)
	}
	return c.beginning(p)
}

// beginning reads the beginning of the next request.
func (c *Line) beginning(p []byte) (int, error) {
	parked, held := c.restable()
	switch {
	case held:
		return 0, io.EOF
	case parked == nil:
		c.turn.Pass()
		c.Conn.SetReadDeadline(c.until)
		n, err := c.Conn.Read(p)
		return c.began(n), err
	}
	if back := c.first && c.turn != nil; !back && !c.pausing {
		c.turn.Pass()
		c.Conn.SetReadDeadline(c.until)
		n, over, err := c.pause(p)
		if !over {
			return c.began(n), err
		}
		if n > 0 {
			c.Conn.SetReadDeadline(c.until) // which was changed to interrupt it
			return c.began(n), nil
		}
	}
	n, err := parked.TryRead(p)
	if errors.Is(err, ErrAgain) {
		c.mu.Lock()
		c.letGo = true
		c.mu.Unlock()
		return 0, io.EOF
	}
	c.Conn.SetReadDeadline(c.until)
	return c.began(n), err
}

// began notes that a request begins, of which n bytes have been read.
func (c *Line) began(n int) int {
	if n > 0 {
		c.first, c.idle, c.clean = false, false, true
	}
	return n
}

// restable returns what the line can be parked with, or nil. When it is taken (held)
// the HTTP server is to let go now.
func (c *Line) restable() (parked *Conn, held bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parked == nil {
		if parked, ok := c.gate.lot.set.Conn(c.Conn); ok {
			c.parked = parked
		}
	}
	c.letGo = c.held != nil
	return c.parked, c.letGo
}

// Write writes, unless the line is taken and the answer left to another.
func (c *Line) Write(p []byte) (int, error) {
	if c.swallow {
		return len(p), nil
	}
	c.turn.Pass()
	return c.Conn.Write(p)
}

// Close is called by the HTTP server when it lets go, and when it closes.
func (c *Line) Close() error {
	c.mu.Lock()
	switch {
	case c.held != nil:
		c.away = true
		c.parked.Arm(Hangup, c)
		c.mu.Unlock()
		return nil
	case c.letGo:
		c.letGo, c.away = false, true
		c.mu.Unlock()
		c.rest()
		return nil
	}
	c.mu.Unlock()
	c.shut()
	return nil
}

// shut closes the connection itself. More than once is harmless, and how it ends is
// of no interest.
func (c *Line) shut() {
	c.gate.lot.drop(c)
	c.mu.Lock()
	parked := c.parked
	c.mu.Unlock()
	if parked != nil {
		parked.Disarm()
	}
	_ = c.Conn.Close()
}

// rest waits for the next request; the HTTP server has let go.
func (c *Line) rest() {
	if !c.gate.lot.rest(c, time.Now()) {
		c.shut()
		return
	}
	c.parked.Arm(Readable, c)
}

// Woken is called by the set in which the line is parked: the client of a request that
// is held has gone, or a line that rests can be read.
func (c *Line) Woken(e Events) {
	c.mu.Lock()
	h := c.held
	c.mu.Unlock()
	switch {
	case h != nil:
		if e&Hangup != 0 {
			h.HungUp()
		}
	default:
		if rested, ok := c.gate.lot.wake(c, time.Now()); ok {
			c.pausing = rested >= restAfter
			if !c.gate.lot.shift.Serve(c) {
				c.shut()
			}
		}
	}
}

// Serve gives the line back to the HTTP server, after it has rested.
func (c *Line) Serve(t *Turn) {
	c.turn = t
	c.mu.Lock()
	c.away, c.letGo = false, false
	c.mu.Unlock()
	c.first, c.idle, c.clean, c.swallow = true, false, false, false
	c.handed = false
	c.until = time.Time{}
	_ = c.gate.http.ServeConn(c) // says how the connection ended
}

// UnsafeConn is the connection itself, for who takes it over.
func (c *Line) UnsafeConn() net.Conn { return c.Conn }
