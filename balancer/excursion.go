package balancer

import (
	"io"
	"net"
	"time"

	"github.com/halleycomet/halley/internal/park"
)

// excursion is that of a connection out of the lane, for one request that is the
// handler's. It belongs to the goroutine in which the server serves it.
type excursion struct {
	// Fixed after construction.
	home *lane

	front []byte     // what the lane has read, and nobody else yet
	late  bool       // the time for the rest is up
	tried *tried     // the request has been sent already; nil once that is known
	turn  *park.Turn // to be served
	idle  bool       // it is between two requests
}

// tried is what became of a request in the lane.
type tried struct {
	decision
	room   slot
	id     requestID
	began  time.Time
	waited time.Duration
	// Either it failed, or its answer has begun.
	fail *failure
	wire *wire
}

// read reads for the server, if ok: else the connection itself is to be read. Between
// two requests it is over: the server takes what it is told for the end.
func (v *excursion) read(c *clientConn, p []byte) (n int, ok bool, err error) {
	switch {
	case v == nil:
		return 0, false, nil
	case len(v.front) > 0:
		n = copy(p, v.front)
		if v.front = v.front[n:]; len(v.front) == 0 {
			v.front = nil
		}
		return n, true, nil
	case v.idle:
		c.letGo.Store(true)
		return 0, true, io.EOF
	}
	v.turn.Pass()
	return 0, false, nil
}

// end drops what the server did not come to.
func (v *excursion) end() {
	if t := v.tried; t != nil {
		t.room.leave()
		if t.wire != nil {
			t.wire.close()
		}
		if t.fail != nil && t.fail.kept != nil {
			t.fail.kept.close()
		}
	}
	v.tried = nil
}

// Serve has the server serve it, until it is closed or goes back to the lane.
func (c *clientConn) Serve(t *park.Turn) {
	v := c.visit
	v.turn = t
	_ = v.home.b.server.ServeConn(c) // says how the connection ended
	v.end()
}

// goHome takes the connection back to its lane.
func (c *clientConn) goHome() error {
	if c.visit.home.adopt(c.TCPConn, c.ticket.hold(), true) {
		c.clients.remove(c)
		return nil
	}
	c.ticket.leave()
	c.clients.remove(c)
	return c.TCPConn.Close()
}

// triedBefore is what became of the request in the lane, if it came from there.
func triedBefore(conn net.Conn) *tried {
	c, ok := conn.(*clientConn)
	if !ok || c.visit == nil {
		return nil
	}
	t := c.visit.tried
	c.visit.tried = nil
	return t
}

// endTurn ends the turn of a connection, which has a goroutine of its own from then on.
func endTurn(conn net.Conn) {
	if c, ok := conn.(*clientConn); ok && c.visit != nil {
		c.visit.turn.Pass()
		c.visit.turn = nil
	}
}

// turnOf is the turn that a connection has, which is over when it waits.
func turnOf(conn net.Conn) *park.Turn {
	if c, ok := conn.(*clientConn); ok && c.visit != nil {
		return c.visit.turn
	}
	return nil
}
