package park

import (
	"bufio"
	"errors"
	"io"
	"time"

	"github.com/valyala/fasthttp"
)

// After is how long a request waits in the goroutine of its handler before its line is
// taken: one that is over sooner, as under load, is cheaper that way. The line is taken
// at once where the last one on it was held for longer (see [Line.Patient]).
const After = 5 * time.Millisecond

// Held is a request that waits on a line that it has taken.
type Held interface {
	// Park is called by Take, when the line can be taken, before Take returns. When it
	// returns true the line is taken, and whoever completes the request answers it from
	// then on, be it before Take has returned. False: it has been completed meanwhile,
	// and the handler answers as ever. What is to be known of ctx is noted here.
	Park(ctx *fasthttp.RequestCtx, c *Line) bool
	// HungUp is called when the client has gone, or the set's Run ends. The line still
	// has to be answered. It is called in the set's goroutine, and must not wait.
	HungUp()
	// Since is when it began to wait. It is called under a lock: a plain value.
	Since() time.Time
}

// Of is the line on which a request came; nil when its connection cannot be parked.
func Of(ctx *fasthttp.RequestCtx) *Line {
	c, _ := ctx.Conn().(*Line)
	return c
}

// Patient tells whether the last request that took the line was held for After or
// longer: the next will be, too.
func (c *Line) Patient() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.patient
}

// Pass is to be called by a handler that is about to wait in its goroutine, so that the
// next line that has come back is served meanwhile.
func (c *Line) Pass() { c.turn.Pass() }

// Take parks the line for the request ctx, if that can be, and if the request has not
// been completed meanwhile (see Held). Its handler then returns; what ctx has for an
// answer goes nowhere. The line is h's until Answered.
func (c *Line) Take(ctx *fasthttp.RequestCtx, h Held) bool {
	if parked, _ := c.restable(); parked == nil || !c.clean || !c.gate.lot.adopt(c) {
		return false
	}
	c.handed = true
	c.mu.Lock()
	c.held = h
	c.mu.Unlock()
	if !h.Park(ctx, c) {
		c.mu.Lock()
		c.held = nil
		c.mu.Unlock()
		return false
	}
	c.swallow = true
	ctx.Response.SetBodyStream(swallowed{c}, 0)
	return true
}

// Last tells whether the connection is to be closed after the answer to ctx: because
// the client or the handler says so, or the HTTP server's settings.
func (c *Line) Last(ctx *fasthttp.RequestCtx) bool {
	server := c.gate.http
	return ctx.Request.Header.ConnectionClose() || ctx.Response.Header.ConnectionClose() || server.DisableKeepalive ||
		server.MaxRequestsPerConn > 0 && ctx.ConnRequestNum() >= uint64(server.MaxRequestsPerConn)
}

// swallowed is the body of an answer that goes nowhere: when it is written, all that
// was written before it is swallowed by the line, and nothing afterwards.
type swallowed struct{ line *Line }

// WriteTo flushes the header.
func (b swallowed) WriteTo(w io.Writer) (n int64, err error) {
	if buffered, ok := w.(*bufio.Writer); ok {
		err = buffered.Flush()
	}
	b.line.swallow = false
	return 0, err
}

// Read is what makes it a body. fasthttp prefers WriteTo.
func (b swallowed) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

// Left tells whether the client of the request that has taken the line has gone, be it
// that HungUp is still to be called.
func (c *Line) Left() bool { return c.parked.Left() }

// TryWrite writes what there is room for, of the response to the request that has
// taken the line (see [Conn.TryWrite]). All of the response is its taker's: whatever is
// not written goes on in a goroutine, by Finish, or the line is closed, by Answered.
func (c *Line) TryWrite(p []byte) (n int, err error) { return c.parked.TryWrite(p) }

// finishChunk is how much of a response a client must take within the time that it has.
const finishChunk = 64 << 10

// Finish writes the rest of a response, and ends with Answered. It waits for the
// client, which has the time timeout for each 64 KiB: a deadline for the whole would
// cut a slow client that has much to read. One that takes less is closed.
func (c *Line) Finish(rest []byte, last bool, timeout time.Duration) {
	for len(rest) > 0 {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(timeout)) // fails only with the write
		n, err := c.Conn.Write(rest[:min(len(rest), finishChunk)])
		if err != nil {
			c.Answered(true)
			return
		}
		rest = rest[n:]
	}
	_ = c.Conn.SetWriteDeadline(time.Time{}) // as above
	c.Answered(last)
}

// Answered notes that the answer to the request that has taken the line has been
// written, or never will be; with last the connection is closed then. Once for each
// request; the line is not the caller's any more.
func (c *Line) Answered(last bool) {
	c.mu.Lock()
	c.patient = time.Since(c.held.Since()) >= After
	c.held = nil
	away := c.away
	if c.behind != nil {
		close(c.behind)
		c.behind = nil
	}
	c.mu.Unlock()
	switch {
	case last:
		c.shut()
	case away:
		c.rest()
	}
}

// awaitAnswer holds up a request that was sent right behind one that is held.
func (c *Line) awaitAnswer() {
	c.mu.Lock()
	if c.held == nil {
		c.mu.Unlock()
		return
	}
	answered := make(chan struct{})
	c.behind = answered
	c.parked.Arm(Hangup, c)
	c.mu.Unlock()
	c.turn.Pass()
	<-answered
	c.parked.Disarm()
}
