package balancer

import (
	"net"
	"time"

	"github.com/halleycomet/halley/internal/tunnel"
	"github.com/valyala/fasthttp"
)

// startBy is how long after an upgrade its tunnel must have begun: a connection that
// breaks just then is never handed over.
const startBy = 10 * time.Second

// openTunnel takes the client's connection over. The tunnel is known from now on: a
// comet that goes down in this moment takes it along.
func (b *Balancer) openTunnel(ctx *fasthttp.RequestCtx, rq *exchange, w *wire, d decision, answer, frames []byte, end func()) {
	w.conn.SetDeadline(time.Time{})
	t := tunnel.Open(b.sides(ctx.Conn(), w), b.conf().Limits.WriteTimeout, b.tunnelEnded(rq, d, clientOf(ctx.Conn()), end))
	set := d.comet.tunnels
	b.tunnels.Add(t.Tunnel)
	set.Add(t.Tunnel)
	b.metrics.tunnels.Inc()
	if !d.comet.living().lives() {
		t.Shut(tunnel.CometDown)
	}
	abandon := time.AfterFunc(startBy, t.Abandon)
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(conn net.Conn) {
		if abandon.Stop() {
			t.Start(b.loops, tunnel.Begun{Answer: answer, Frames: frames, Early: buffered(conn)})
		}
	})
}

// sides are the two connections of a tunnel that begins on w.
func (b *Balancer) sides(client net.Conn, w *wire) tunnel.Sides {
	s := tunnel.Sides{Client: client, Comet: w.conn, Source: w.src, Release: w.close}
	if w.upload == nil {
		s.ClientSocket, s.CometSocket = plainTCP(client), plainTCP(w.conn)
	}
	s.Taken = func() func() {
		if c, ok := client.(*clientConn); ok {
			b.clients.remove(c)
		}
		return w.up.leave
	}
	return s
}

// tunnelEnded is what is done at the end of a tunnel that begins now. It holds nothing of
// the request but what is told of it.
func (b *Balancer) tunnelEnded(rq *exchange, d decision, client *clientConn, end func()) func(*tunnel.Tunnel, tunnel.End) {
	c, reason, began, waited := d.comet, d.reason, rq.rec.began, rq.rec.waited
	var ticket *ticket
	if client != nil {
		ticket = client.ticket.hold()
	}
	of := b.outlast(rq)
	return func(t *tunnel.Tunnel, why tunnel.End) {
		in, out := t.Passed()
		b.finish(&record{
			began: began, comet: c, reason: reason, kind: recordTunnel, status: fasthttp.StatusSwitchingProtocols,
			waited: waited, in: in, out: out, end: why,
		}, of)
		if why != tunnel.None {
			b.metrics.closed.WithLabelValues(why.String()).Inc()
		}
		b.metrics.tunnels.Dec()
		end()
		ticket.leave()
		// Who stops the balancer waits for the sets to be empty: all is counted then.
		c.tunnels.Remove(t)
		b.tunnels.Remove(t)
	}
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
