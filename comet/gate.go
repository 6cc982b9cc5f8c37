package comet

import (
	"net"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/internal/accept"
)

// gate is a listener whose connections can be parked.
type gate struct {
	net.Listener
	// fixed after construction
	srv  *Server
	http *fasthttp.Server
	idle time.Duration // how long a connection rests; 0: for ever
}

// Parking prepares an HTTP server of yours, in which this comet's handler is
// mounted, and the listener that it is to serve: held connects, and connections
// between two requests, then wait without a goroutine and without buffers, which
// takes about an eighth of the memory. [Server.Serve] does this by itself.
//
//	server := &fasthttp.Server{Handler: mine} // calls comet.Handler for some paths
//	err := server.Serve(comet.Parking(server, listener))
//
// It is to be called before the server serves, and works while Run does, on Linux,
// for plain TCP and Unix sockets; in all other cases, and with MaxConnsPerIP,
// everything waits in goroutines as usual. For a request that is parked the server
// takes the handler's response as written when it returns; the real one has the
// headers that were set before the comet's handler was called. Requests on one
// connection count anew (see MaxRequestsPerConn) after it has rested.
func (s *Server) Parking(server *fasthttp.Server, ln net.Listener) net.Listener {
	if server.MaxConnsPerIP > 0 {
		return ln
	}
	ln = accept.Patiently(ln, s.crowded)
	g := &gate{Listener: ln, srv: s, http: server, idle: server.IdleTimeout}
	if g.idle == 0 {
		g.idle = server.ReadTimeout // as in fasthttp
	}
	former := server.ConnState
	server.ConnState = func(conn net.Conn, state fasthttp.ConnState) {
		if c, ok := conn.(*line); ok {
			c.enter(state)
		}
		if former != nil {
			former(conn, state)
		}
	}
	return g
}

// crowded is told that there is no room for another connection. The lines that have
// rested longest make some: their clients ask for nothing at the moment, and perhaps
// never have.
func (s *Server) crowded(err error) {
	closed := s.lot.vacate(makeRoom)
	if suppressed, ok := s.tight.allow(time.Now()); ok {
		s.log.Warn("no room for another connection", zap.Error(err), zap.Int("resting_closed", closed), zap.Int("suppressed", suppressed))
	}
}

// makeRoom is how many lines that rest are closed at once.
const makeRoom = 16

// Accept wraps what can be parked.
func (g *gate) Accept() (net.Conn, error) {
	conn, err := g.Listener.Accept()
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		if !g.srv.left.Load() {
			return &line{Conn: conn, gate: g, first: true}, err
		}
	}
	return conn, err
}
