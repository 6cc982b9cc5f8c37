package balancer

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/halleycomet/halley/internal/tunnel"
	"github.com/valyala/fasthttp"
)

// clients is the connections of clients, those that were taken over for a WebSocket
// included: fasthttp forgets these, and its Shutdown leaves them as they are.
type clients struct {
	mu sync.Mutex
	// Guarded by mu.
	set map[net.Conn]struct{}
}

func newClients() *clients { return &clients{set: make(map[net.Conn]struct{})} }

// state follows the server.
func (c *clients) state(conn net.Conn, s fasthttp.ConnState) {
	if cc := clientOf(conn); cc != nil {
		conn = cc
	}
	switch s {
	case fasthttp.StateNew:
		c.add(conn)
	case fasthttp.StateActive, fasthttp.StateIdle:
		if cc, ok := conn.(*clientConn); ok {
			cc.turns(s == fasthttp.StateIdle)
		}
	case fasthttp.StateHijacked:
		if cc, ok := conn.(*clientConn); ok {
			cc.rests.Store(0)
		}
	case fasthttp.StateClosed:
		c.remove(conn) // of one that is no clientConn
	}
}

func (c *clients) add(conn net.Conn) {
	c.mu.Lock()
	c.set[conn] = struct{}{}
	c.mu.Unlock()
}

func (c *clients) remove(conn net.Conn) {
	c.mu.Lock()
	delete(c.set, conn)
	c.mu.Unlock()
	if cc, ok := conn.(*clientConn); ok && !cc.left.Swap(true) {
		cc.ticket.leave()
	}
}

func (c *clients) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.set)
}

// close closes the connections that are to be.
func (c *clients) close(which func(net.Conn) bool) {
	c.mu.Lock()
	var some []net.Conn
	for conn := range c.set {
		if which(conn) {
			some = append(some, conn)
		}
	}
	c.mu.Unlock()
	for _, conn := range some {
		if cc, ok := conn.(*clientConn); ok {
			cc.cutOff()
			continue
		}
		conn.Close()
	}
}

func anyClient(net.Conn) bool { return true }

// silentClient is one that has sent nothing yet. Browsers open such connections in
// advance; fasthttp takes one for busy until it is 5 s old.
func silentClient(conn net.Conn) bool {
	c, ok := conn.(*clientConn)
	return ok && !c.spoke.Load() && !c.late.Load()
}

// know makes a clientConn of what a listener has accepted; what is no TCP stays as it
// is.
func (c *clients) know(conn net.Conn) net.Conn {
	if tcp, ok := conn.(*net.TCPConn); ok {
		return &clientConn{TCPConn: tcp, clients: c}
	}
	return conn
}

// clientConn is known to clients until it is closed, by whomever. And it notices its
// end: fasthttp takes the end of a connection between two chunks of a body for the
// end of the body, and half an upload would be passed on as a whole.
type clientConn struct {
	*net.TCPConn
	clients *clients
	from    net.Addr    // of the client, where a proxy told it; nil: who is connected
	spoke   atomic.Bool // something came
	late    atomic.Bool // its handshake ended while the balancer stops: its request is on its way
	ended   atomic.Bool
	slow    atomic.Bool // the last read waited in vain
	unread  atomic.Bool // the client may still be sending what nobody will read
	cut     atomic.Bool // it was closed because the balancer stops, or to make room

	ticket *ticket      // its place among all connections
	left   atomic.Bool  // that was given back
	rests  atomic.Int64 // since when no request of it is served, in Unix nanoseconds; 0: one is
	// feed is the connection to the comet from which an answer is passed on, if one is.
	feed atomic.Pointer[net.Conn]

	visit *excursion  // nil: it is from no lane
	letGo atomic.Bool // the server was told of an end, and the connection goes back there
}

// RemoteAddr is the address of the client, as far as it is told here.
func (c *clientConn) RemoteAddr() net.Addr {
	if c.from != nil {
		return c.from
	}
	return c.TCPConn.RemoteAddr()
}

// feedFrom says from where an answer comes that is passed on as it does; nil when it
// is over.
func (c *clientConn) feedFrom(comet net.Conn) {
	if comet == nil {
		c.feed.Store(nil)
		return
	}
	c.feed.Store(&comet)
	if c.cut.Load() {
		comet.Close()
	}
}

// cutOff closes both at once: who reads from a comet that says nothing does not
// notice that the client is gone.
func (c *clientConn) cutOff() {
	c.cut.Store(true)
	if comet := c.feed.Load(); comet != nil {
		(*comet).Close()
	}
	c.clients.remove(c)
	c.TCPConn.Close()
}

// Close ends the connection in a way that an answer just written survives: what is
// closed with something unread is reset, and a reset swallows what was sent before.
func (c *clientConn) Close() error {
	if c.letGo.Swap(false) {
		return c.goHome()
	}
	if c.unread.Swap(false) && c.TCPConn.CloseWrite() == nil {
		c.TCPConn.SetReadDeadline(time.Now().Add(tunnel.Linger))
		_, _ = io.Copy(io.Discard, c.TCPConn) // the time is the bound
	}
	c.clients.remove(c)
	return c.TCPConn.Close()
}

// leaveUnread says whether something of a request is left unread for good.
func leaveUnread(conn net.Conn, left bool) {
	if c := clientOf(conn); c != nil {
		c.unread.Store(left)
	}
}

// SetWriteDeadline does not fail on a connection that was closed: the write does.
// fasthttp would otherwise let go of the request's reader before it closes the answer,
// and with it the upload that reads there.
func (c *clientConn) SetWriteDeadline(t time.Time) error {
	_ = c.TCPConn.SetWriteDeadline(t)
	return nil
}

// turns is told by the server that a request has begun, or has ended and the next is
// waited for.
func (c *clientConn) turns(idle bool) {
	if idle {
		c.rests.Store(time.Now().UnixNano())
	}
	if c.visit != nil {
		c.visit.idle = idle
	}
}

// SetReadDeadline is one that has passed, if the time is up.
func (c *clientConn) SetReadDeadline(t time.Time) error {
	if c.visit != nil && c.visit.late {
		t = past
	}
	return c.TCPConn.SetReadDeadline(t)
}

func (c *clientConn) Read(p []byte) (int, error) {
	if n, ok, err := c.visit.read(c, p); ok {
		return n, err
	}
	n, err := c.TCPConn.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		c.ended.Store(true)
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.slow.Store(true)
	case n > 0 && !c.spoke.Load():
		c.spoke.Store(true)
	}
	return n, err
}
