package balancer

import (
	"net"
	"time"

	"github.com/halleycomet/halley/internal/park"
	"github.com/valyala/fasthttp"
)

// startBy is how long after an upgrade its tunnel must have begun: a connection that
// breaks just then is never handed over.
const startBy = 10 * time.Second

// opening is a tunnel between the answer to its upgrade and its first bytes.
type opening struct {
	tunnel *tunnel
	wire   *wire
	pair   *pair // carries it, unless a loop takes it over

	// What is to be passed on first.
	answer, frames, early []byte
}

// openTunnel takes the client's connection over. The tunnel is known from now on: a
// comet that goes down in this moment takes it along.
func (b *Balancer) openTunnel(ctx *fasthttp.RequestCtx, rq *exchange, w *wire, d decision, answer, frames []byte, end func()) {
	w.conn.SetDeadline(time.Time{})
	t := &tunnel{limit: b.conf().Limits.WriteTimeout, release: w.close}
	o := &opening{tunnel: t, wire: w, pair: &pair{tunnel: t, client: ctx.Conn(), comet: w.conn}, answer: answer, frames: frames}
	t.carriedBy(o.pair)
	c, reason, began, waited := d.comet, d.reason, rq.rec.began, rq.rec.waited
	set := c.tunnels
	b.tunnels.add(t)
	set.add(t)
	b.metrics.tunnels.Inc()
	var ticket *ticket
	if c := clientOf(ctx.Conn()); c != nil {
		ticket = c.ticket.hold()
	}
	of := b.outlast(rq)
	t.ended = func(why tunnelEnd) {
		b.finish(&record{
			began: began, comet: c, reason: reason, kind: recordTunnel, status: fasthttp.StatusSwitchingProtocols,
			waited: waited, in: t.in, out: t.out, end: why,
		}, of)
		if why != endNone {
			b.metrics.closed.WithLabelValues(why.String()).Inc()
		}
		b.metrics.tunnels.Dec()
		end()
		ticket.leave()
		// Who stops the balancer waits for the sets to be empty: all is counted then.
		set.remove(t)
		b.tunnels.remove(t)
	}
	if !c.living().lives() {
		t.shut(endCometDown)
	}
	abandon := time.AfterFunc(startBy, o.pair.abandon)
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(conn net.Conn) {
		if abandon.Stop() {
			o.early = buffered(conn)
			b.startTunnel(o)
		}
	})
}

// startTunnel has a loop carry the tunnel, or goroutines.
func (b *Balancer) startTunnel(o *opening) {
	client, comet := plainTCP(o.pair.client), plainTCP(o.pair.comet)
	if b.loops == nil || client == nil || comet == nil || o.wire.upload != nil || o.wire.src.raw == nil {
		o.start(o.wire.src)
		return
	}
	l := b.loops.Next()
	if !l.Post(func() { b.loopTunnel(l, o, client, comet) }) {
		o.start(o.wire.src)
	}
}

// start has goroutines carry the tunnel.
func (o *opening) start(comet *source) { o.pair.start(o.answer, o.frames, o.early, comet) }

// loopTunnel has a loop carry the tunnel; it is called in the loop. Where the system
// has nothing left for that, goroutines do it.
func (b *Balancer) loopTunnel(l *park.Loop, o *opening, client, comet *net.TCPConn) {
	t := &looped{tunnel: o.tunnel, loop: l}
	if l.Adopt(&t.comet, comet, t) != nil {
		o.start(o.wire.src)
		return
	}
	if l.Adopt(&t.client, client, t) != nil {
		conn, err := t.comet.Release()
		if err != nil {
			o.pair.abandon()
			return
		}
		o.pair = &pair{tunnel: o.tunnel, client: o.pair.client, comet: conn}
		o.tunnel.carriedBy(o.pair)
		if o.tunnel.isShut() != endNone || o.tunnel.asked() != endNone {
			o.pair.attend()
		}
		o.start(newSource(conn))
		return
	}
	// From here on nothing is held but two descriptors and what looped has.
	if c, ok := o.pair.client.(*clientConn); ok {
		b.clients.remove(c)
	}
	t.release = o.wire.up.leave
	t.carriedBy(t)
	t.start(o.answer, o.frames, o.early)
}

// leave is called when a connection ends that is no longer a wire's.
func (u *upstream) leave() {
	u.mu.Lock()
	u.open--
	u.mu.Unlock()
}

// plainTCP is the socket of a connection on which bytes pass as they are, nil where
// there is more to it.
func plainTCP(conn net.Conn) *net.TCPConn {
	switch c := conn.(type) {
	case *net.TCPConn:
		return c
	case *clientConn:
		return c.TCPConn
	}
	return nil
}

// unwrap is the connection under a hijacked one. fasthttp hands out a wrapper with
// the reader of the requests in it, a buffer that a tunnel would hold for its life.
func unwrap(conn net.Conn) net.Conn {
	if h, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
		return h.UnsafeConn()
	}
	return conn
}

// buffered takes what the wrapper of a hijacked connection has read beyond the
// request. With the deadline passed nothing new is read.
func buffered(conn net.Conn) []byte {
	raw := unwrap(conn)
	if raw == conn || raw.SetReadDeadline(past) != nil {
		return nil
	}
	defer raw.SetReadDeadline(time.Time{})
	var all []byte
	buf := make([]byte, 512)
	for {
		n, err := conn.Read(buf)
		all = append(all, buf[:n]...)
		if err != nil {
			return all
		}
	}
}
