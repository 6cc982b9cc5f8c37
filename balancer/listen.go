package balancer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/halleycomet/halley/internal/accept"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
)

// Listener is an address at which clients come in.
type Listener struct {
	net.Listener

	// TLS says that they speak TLS there, with the certificates of [Config.TLS]: what
	// the listener itself accepts is TCP.
	TLS bool
}

// Serve answers the requests that come by ln, without TLS, until ctx ends. Then it
// stops in order: no connection is accepted any more, held polls are answered (their
// sessions live, the clients come back by another balancer, or by this one when it is
// back), the WebSockets are closed with 1001, one after the other, and what is under
// way has [Config.StopTime] to end. A balancer serves once.
func (b *Balancer) Serve(ctx context.Context, ln net.Listener) error {
	return b.ServeListeners(ctx, nil, Listener{Listener: ln})
}

// ServeHandler is [Balancer.Serve] with a handler of one's own in front: it answers
// what it likes, and calls [Balancer.Handler] for all the rest.
func (b *Balancer) ServeHandler(ctx context.Context, ln net.Listener, handler fasthttp.RequestHandler) error {
	return b.ServeListeners(ctx, handler, Listener{Listener: ln})
}

// ServeListeners is [Balancer.ServeHandler] at several addresses at once. When one of
// the listeners ends, all do. A nil handler is [Balancer.Handler], and better than
// that: a handler of one's own is to see every request, so each is served in a
// goroutine; without one, everyday requests need none.
func (b *Balancer) ServeListeners(ctx context.Context, handler fasthttp.RequestHandler, listeners ...Listener) error {
	lanes := b.lanes
	if handler != nil || b.loops == nil {
		lanes = nil
	}
	if handler == nil {
		handler = b.Handler
	}
	endLog := b.serveAccessLog()
	defer endLog() // when all else has ended
	b.server.Handler = b.guard(handler)
	var entrances []*entrance
	for _, ln := range listeners {
		e, err := b.newEntrance(ln)
		if err != nil {
			return fmt.Errorf("balancer: serve %v: %w", ln.Addr(), err)
		}
		e.lanes = lanes
		entrances = append(entrances, e)
	}
	watch, unwatch := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := b.watch.Run(watch); err != nil {
			b.log.Warn("hang-ups of waiting clients are not noticed", zap.Error(err))
		}
	})
	if b.loops != nil {
		watching.Go(func() {
			if err := b.loops.Run(watch); err != nil {
				b.log.Warn("everything is served by goroutines", zap.Error(err))
			}
			lanes.wait()
		})
	}
	defer watching.Wait()
	defer unwatch()
	served := make(chan error, len(entrances))
	for _, e := range entrances {
		go func() { served <- e.serve() }()
	}
	var errs []error
	left, stopTime := len(entrances), b.conf().StopTime
	select {
	case err := <-served:
		left--
		errs = append(errs, errors.New("balancer: a listener ended"), err)
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), ErrHandedOver) {
			b.retire(entrances)
			stopTime = min(stopTime, closeTime)
			break
		}
		// Who was accepted in the last moment has his request under way. Where the socket
		// outlives this process, the connection would otherwise be the only one that fails.
		brief, cancel := context.WithTimeout(context.Background(), min(stopTime, silentTime))
		b.yield(brief, entrances)
		cancel()
	}
	b.stop(stopTime)
	for _, e := range entrances {
		e.Close() // the server does not know it when it had not come so far
	}
	for range left {
		if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// crowded is told that there is no room for another connection, and warns once a
// second.
func (b *Balancer) crowded(err error) {
	if now := time.Now().Unix(); b.tight.Swap(now) != now {
		b.log.Warn("no room for another connection", zap.Error(err))
	}
}

// entrance is one listener together with what a connection has to pass before its
// first request is read: the header of the PROXY protocol, the handshake of TLS. Each does so in a goroutine of
// its own, in its own time, and only then comes out of Accept. Where there is nothing
// to pass, Accept is that of the listener.
type entrance struct {
	// Fixed after construction.
	b     *Balancer
	ln    *accept.Listener
	tls   *tls.Config   // nil: none is spoken here
	proxy ProxyProtocol // whether proxies introduce their clients
	lanes *lanes        // which take what has nothing to pass; nil: none does
	ready chan net.Conn // those that have passed
	shut  chan struct{} // closed by Close
	ended chan struct{} // closed when the listener has ended, with failed set

	retired atomic.Bool // those that were accepted may still come in

	once   sync.Once
	failed error
}

func (b *Balancer) newEntrance(ln Listener) (*entrance, error) {
	e := &entrance{
		b: b, ln: accept.Patiently(ln, b.crowded),
		proxy: b.conf().ProxyProtocol,
		ready: make(chan net.Conn), shut: make(chan struct{}), ended: make(chan struct{}),
	}
	if ln.TLS {
		if b.certs == nil {
			return nil, errors.New("there is no certificate for it")
		}
		e.tls = b.certs.server
	}
	return e, nil
}

// open tells that a connection has nothing to pass.
func (e *entrance) open() bool { return e.tls == nil && e.proxy == ProxyProtocolOff }

// serve answers what comes in until the listener ends.
func (e *entrance) serve() error {
	var welcoming sync.WaitGroup
	if !e.open() {
		welcoming.Go(e.welcome)
	}
	err := e.b.server.Serve(e)
	e.Close()
	welcoming.Wait()
	if err != nil {
		return fmt.Errorf("balancer: serve %v: %w", e.Addr(), err)
	}
	return nil
}

// Addr is the address of the listener.
func (e *entrance) Addr() net.Addr { return e.ln.Addr() }

// Accept waits for a connection that may be served.
func (e *entrance) Accept() (net.Conn, error) {
	for e.open() {
		conn, err := e.ln.Accept()
		if err != nil {
			return nil, err
		}
		if conn = e.b.letIn(conn); conn != nil && !e.lanes.adopt(conn) {
			return conn, nil
		}
	}
	select {
	case conn := <-e.ready:
		return conn, nil
	case <-e.ended:
		return nil, e.failed
	}
}

// Close ends it. Who was about to come in is hung up on, unless it was retired: then he
// does, until stop hangs up on who is left.
func (e *entrance) Close() error {
	e.once.Do(func() {
		if !e.retired.Load() {
			close(e.shut)
		}
	})
	return e.ln.Close()
}

// retire accepts nobody any more. Who was about to come in does.
func (e *entrance) retire() {
	e.retired.Store(true)
	e.ln.Close()
}

// welcome accepts connections and greets each of them, until the listener ends and all
// have passed or were closed.
func (e *entrance) welcome() {
	var all sync.WaitGroup
	defer all.Wait()
	for {
		conn, err := e.ln.Accept()
		if err != nil {
			e.failed = err
			if e.retired.Load() {
				all.Wait()
				close(e.ended)
				return
			}
			close(e.ended)
			e.b.greeted.closeAll()
			return
		}
		known := e.b.letIn(conn)
		if known == nil {
			continue
		}
		c, ok := known.(*clientConn)
		if !ok {
			conn.Close() // no socket, which only a listener of somebody else's makes
			continue
		}
		undo := e.b.greeted.add(c)
		all.Go(func() {
			defer undo()
			passed, err := e.greet(c)
			if err != nil {
				c.Close()
				return
			}
			e.b.clients.add(c) // before it is greeted no more, so that stop finds it
			select {
			case e.ready <- passed:
			case <-e.shut:
				passed.Close()
			}
		})
	}
}

// greet lets a connection pass, or tells why not; that is counted, and logged for
// those only who look closely: anybody can cause it.
func (e *entrance) greet(c *clientConn) (net.Conn, error) {
	conn, err := e.admit(c)
	if err != nil {
		e.b.log.Debug("a connection was not let in", zap.Stringer("client", c.RemoteAddr()), zap.Error(err))
	}
	return conn, err
}

func (e *entrance) admit(c *clientConn) (net.Conn, error) {
	if e.proxy != ProxyProtocolOff {
		if err := e.b.introduce(c, e.proxy); err != nil {
			return nil, err
		}
	}
	if e.tls != nil {
		return e.b.secure(c, e.tls)
	}
	return c, nil
}
