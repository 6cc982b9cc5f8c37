package park

import (
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

// gate is a listener whose connections can be parked.
type gate struct {
	net.Listener
	// fixed after construction
	lot  *Lot
	http *fasthttp.Server
	idle time.Duration // how long a connection rests; 0: for ever
}

// Listener prepares an HTTP server, and the listener that it is to serve: connections
// between two requests then rest without a goroutine and without buffers, and handlers
// can take them (see [Line.Take]). It is to be called before the server serves. What
// must hold:
//
//   - The server's settings stay as they are then. ConnState is replaced by one that
//     calls the former.
//   - Only plain TCP and Unix sockets are parked, on Linux, while the set's Run runs.
//     With MaxConnsPerIP nothing is, since fasthttp counts there what it closes.
//   - Requests on one connection count anew (see MaxRequestsPerConn) after it has
//     rested.
//   - A handler that waits without taking the line says so by [Line.Pass].
func (l *Lot) Listener(server *fasthttp.Server, ln net.Listener) net.Listener {
	if server.MaxConnsPerIP > 0 {
		return ln
	}
	g := &gate{Listener: ln, lot: l, http: server, idle: server.IdleTimeout}
	if g.idle == 0 {
		g.idle = server.ReadTimeout // as in fasthttp
	}
	former := server.ConnState
	server.ConnState = func(conn net.Conn, state fasthttp.ConnState) {
		if c, ok := conn.(*Line); ok {
			c.enter(state)
		}
		if former != nil {
			former(conn, state)
		}
	}
	return g
}

// Accept wraps what can be parked.
func (g *gate) Accept() (net.Conn, error) {
	conn, err := g.Listener.Accept()
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		if !g.lot.closing.Load() {
			return &Line{Conn: conn, gate: g, first: true}, err
		}
	}
	return conn, err
}
