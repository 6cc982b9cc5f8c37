package comet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
)

var errRanBefore = errors.New("comet: Run was called before, perhaps by Serve: a comet runs once")

// Run sweeps expired sessions and watches for clients that hang up, until ctx
// ends. Then the comet leaves: from that moment every request is refused, each
// held connect is answered with 402 and advice to handshake (together with what
// waits for its session), each socket gets what waits for it and is closed with
// 1001. Run returns when the sockets are gone, at the latest after
// ShutdownTimeout plus the grace for close frames; nothing that it started is
// alive then, but remote calls and callbacks of local sessions that have not returned
// within ShutdownTimeout either, although the contexts of the former have ended. It
// runs once, and [Server.Serve] runs it: a second call fails at once.
func (s *Server) Run(ctx context.Context) error {
	if s.ran.Swap(true) {
		return errRanBefore
	}
	// Clients are watched until all have been told goodbye.
	watch, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	defer unwatch()
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := s.watch.Run(watch); err != nil {
			// Not fatal: a hang-up is then noticed when the answer is written.
			s.log.Warn("hang-ups of waiting clients are not noticed", zap.Error(err))
		}
	})
	s.sweepUntil(ctx)
	s.leave()
	s.dismiss()
	s.flush.wait()
	unwatch()
	watching.Wait()
	return nil
}

// Leave begins the end, before Run's context ends it: from now on clients are
// refused, each with 402 and advice to handshake, which leads them elsewhere. What
// they published before still goes out over the links of other comets, and no
// publish is answered with success that these would miss. To be called before the
// cloud says goodbye.
func (s *Server) Leave() { s.leaving.Store(true) }

// refuses tells whether the messages of a session are answered any more.
func (s *Server) refuses(session *session) bool {
	return s.left.Load() || s.leaving.Load() && (session == nil || !session.peer && session.local == nil)
}

// leave says goodbye to everybody.
func (s *Server) leave() {
	s.Leave()
	s.left.Store(true)
	s.endLife()
	sockets := s.sessions.close()
	for _, session := range s.sessions.all() {
		session.complete(releaseLeaving)
	}
	for _, k := range sockets {
		k.close(closeGoingAway, "leaving")
	}
	answered := s.lot.Close()
	late := time.AfterFunc(s.cfg.ShutdownTimeout, func() {
		for _, k := range s.sessions.close() {
			k.abort()
		}
		s.lot.Abort()
	})
	defer late.Stop()
	<-s.sessions.empty
	<-answered
	s.lot.Wait()
}

// FasthttpServer is a fasthttp server with the settings that a comet wants and
// this comet's handler. For a handler of your own use its settings and call
// [Server.Handler] for what is under Path.
func (s *Server) FasthttpServer() *fasthttp.Server {
	return &fasthttp.Server{
		Handler:        s.ownHandler,
		ErrorHandler:   s.badRequest,
		ReadBufferSize: 16 << 10, // also the limit of a header, and so of a JSONP request
		ReadTimeout:    s.cfg.ReadTimeout,
		IdleTimeout:    s.cfg.IdleTimeout,
		WriteTimeout:   s.cfg.WriteTimeout, // of an answer, from when it is made
		ConnState:      s.renewDeadline,
		// Twice the limit, which the handler enforces: a body that is a little too
		// large is read, so that its sender sees the 413, CORS headers and all. One
		// that is much too large finds the connection closed, perhaps before that.
		MaxRequestBodySize: 2 * s.cfg.MaxMessageSize,
		// Buffers are for the time in which something is read or written (see ahead).
		ReduceMemoryUsage:     true,
		NoDefaultServerHeader: true,
		CloseOnShutdown:       true,
		KeepHijackedConns:     true, // closing sockets is ours
		Logger:                quiet{s.log},
	}
}

// Serve runs the comet on ln until ctx ends, and returns when all is closed. A
// listener that fails ends it too.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := s.FasthttpServer()
	served := make(chan error, 1)
	go func() {
		defer cancel()
		served <- server.Serve(s.Parking(server, ln))
	}()
	left := make(chan error, 1)
	go func() {
		defer cancel()
		left <- s.Run(ctx)
	}()

	<-ctx.Done()
	ended, stop := context.WithTimeout(context.Background(), s.cfg.ShutdownTimeout+2*closeGrace)
	defer stop()
	err := server.ShutdownWithContext(ended)
	switch {
	case errors.Is(err, net.ErrClosed):
		err = nil // somebody else has closed it
	case err != nil:
		err = fmt.Errorf("comet: shut down: %w", err)
	}
	ln.Close() // Shutdown does not know it when Serve had not come so far
	if serveErr := <-served; serveErr != nil && !errors.Is(serveErr, net.ErrClosed) {
		err = errors.Join(err, fmt.Errorf("comet: serve: %w", serveErr))
	}
	return errors.Join(err, <-left)
}

// quiet turns what fasthttp has to say into debug lines: it is about single
// connections that broke.
type quiet struct{ log *zap.Logger }

func (q quiet) Printf(format string, args ...any) {
	q.log.Debug("fasthttp: " + fmt.Sprintf(format, args...))
}
