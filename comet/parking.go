package comet

import (
	"net"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/internal/accept"
)

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
	return s.lot.Listener(server, accept.Patiently(ln, s.crowded))
}

// crowded is told that there is no room for another connection. The lines that have
// rested longest make some: their clients ask for nothing at the moment, and perhaps
// never have.
func (s *Server) crowded(err error) {
	closed := s.lot.Vacate(makeRoom)
	if suppressed, ok := s.tight.allow(time.Now()); ok {
		s.log.Warn("no room for another connection", zap.Error(err), zap.Int("resting_closed", closed), zap.Int("suppressed", suppressed))
	}
}

// makeRoom is how many lines that rest are closed at once.
const makeRoom = 16
