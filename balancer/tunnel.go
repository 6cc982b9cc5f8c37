package balancer

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// linger is how long one side of a tunnel has to end after the other did. An end
// that is not awaited turns into a reset when something was still under way, and a
// reset swallows what was sent before it.
const linger = time.Second

// tunnel passes the bytes of one WebSocket on, untouched, in both directions. Two
// goroutines do it, one for each direction, and no buffer is held while nothing
// moves. io.Copy is not used: between two TCP connections it splices, and an idle
// tunnel would hold two pipes, four descriptors.
//
// Only the goroutine from comet to client writes to the client, so a close frame of
// the balancer's own cannot get between the bytes of another.
type tunnel struct {
	// Fixed after construction.
	client, comet net.Conn
	limit         time.Duration   // for how long either side may take nothing
	ended         func(tunnelEnd) // called once, when both directions have ended

	// Safe for any goroutine.
	why    atomic.Uint32 // the tunnelEnd for which shut was called; endNone while it was not
	wish   atomic.Uint32 // the tunnelEnd for which ask was called
	ending atomic.Int32  // directions that have ended

	// Owned by the goroutine from comet to client.
	frames frames
}

// start begins to pass bytes on. The comet has sent its answer to the upgrade and
// maybe some frames after it; the client may have sent early what followed its
// request.
func (t *tunnel) start(answer, frames, early []byte, comet *source) {
	go t.toClient(answer, frames, comet)
	go t.toComet(early)
}

// shut ends the tunnel, with a close frame if one may stand where the stream is.
func (t *tunnel) shut(why tunnelEnd) {
	if !t.why.CompareAndSwap(uint32(endNone), uint32(why)) {
		return
	}
	t.comet.SetReadDeadline(past)                     // wakes toClient
	t.client.SetWriteDeadline(time.Now().Add(linger)) // also when the client takes nothing
}

// isShut tells whether shut was called, and why.
func (t *tunnel) isShut() tunnelEnd { return tunnelEnd(t.why.Load()) }

// ask ends the tunnel as soon as a close frame may stand where the stream is. Until
// then it passes on what comes.
func (t *tunnel) ask(why tunnelEnd) {
	if t.wish.CompareAndSwap(uint32(endNone), uint32(why)) {
		t.comet.SetReadDeadline(past) // wakes toClient, which knows where the stream is
	}
}

// asked tells whether ask was called, and why.
func (t *tunnel) asked() tunnelEnd { return tunnelEnd(t.wish.Load()) }

// obliged is called when the comet was waited for in vain: it tells whether the tunnel
// goes on all the same, because it was asked to end and is within a frame.
func (t *tunnel) obliged() bool {
	why := t.asked()
	if why == endNone || t.isShut() != endNone {
		return false
	}
	if t.frames.between() {
		t.shut(why)
		return false
	}
	t.comet.SetReadDeadline(time.Time{})
	return t.isShut() == endNone // shut may have come just before
}

// write passes p on. A side that takes nothing of it for the limit is stuck, and the
// tunnel ends; whatever it takes gives it new time. The limit is looked at in quarters,
// because the kernel says that there is room again only when there is much of it.
func (t *tunnel) write(to net.Conn, p []byte, stuck tunnelEnd) error {
	step := max(t.limit/4, 1)
	if isTLS(to) {
		step = t.limit // a record of which a part was written cannot be taken up again
	}
	for last := time.Now(); ; {
		if err := to.SetWriteDeadline(time.Now().Add(step)); err != nil {
			return err
		}
		if t.isShut() != endNone {
			to.SetWriteDeadline(time.Now().Add(linger)) // shut may have come just before
		}
		n, err := to.Write(p)
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || t.isShut() != endNone {
			return err
		}
		if p = p[n:]; n > 0 {
			last = time.Now()
		} else if time.Since(last) >= t.limit {
			t.shut(stuck)
			return err
		}
	}
}

// toClient passes on what the comet sends, until it or the client ends, or shut is
// called.
func (t *tunnel) toClient(answer, frames []byte, comet *source) {
	defer t.end()
	err := t.write(t.client, answer, endClientStuck)
	if err == nil && len(frames) > 0 {
		err = t.write(t.client, frames, endClientStuck)
		t.frames.feed(frames)
	}
	for err == nil {
		c, rerr := comet.next()
		if errors.Is(rerr, os.ErrDeadlineExceeded) && t.obliged() {
			continue
		}
		if rerr != nil {
			break
		}
		if err = t.write(t.client, c.bytes(), endClientStuck); err == nil {
			t.frames.feed(c.bytes())
		}
		c.free()
		if why := t.asked(); why != endNone && t.frames.between() {
			t.shut(why)
		}
		if t.isShut() != endNone {
			break
		}
	}
	if err != nil { // the client is gone, or takes nothing
		if t.isShut() == endClientStuck {
			drop(t.client)
		}
		t.client.Close()
		t.comet.Close()
		return
	}
	t.client.SetWriteDeadline(time.Now().Add(linger))
	if t.frames.between() {
		_, _ = t.client.Write(closeFrame(t.isShut().code())) // it ends in any case
	}
	gentle := t.isShut().gentle()
	if !gentle {
		t.comet.Close()
	}
	closeWrite(t.client)
	t.client.SetReadDeadline(time.Now().Add(linger))
	if gentle {
		t.forget(comet)
	}
}

// forget drops what the comet says after the client was told that this is the end.
// The comet still gets what the client had sent before it knew.
func (t *tunnel) forget(comet *source) {
	t.comet.SetReadDeadline(time.Now().Add(2 * linger))
	for {
		c, err := comet.next()
		if err != nil {
			return
		}
		c.free()
	}
}

// toComet passes on what the client sends. When the comet takes nothing more, the
// rest is read and dropped, until the client has seen its end.
func (t *tunnel) toComet(early []byte) {
	defer t.end()
	deaf := false
	if len(early) > 0 {
		deaf = t.write(t.comet, early, endCometStuck) != nil
	}
	for client := newSource(t.client); ; {
		c, err := client.next()
		if err != nil {
			break
		}
		if !deaf {
			deaf = t.write(t.comet, c.bytes(), endCometStuck) != nil
		}
		c.free()
	}
	closeWrite(t.comet)
	t.comet.SetReadDeadline(time.Now().Add(linger))
	if why := t.isShut(); why != endNone && !why.gentle() {
		t.comet.SetReadDeadline(past)
	}
}

// end closes both sides when both directions have ended.
func (t *tunnel) end() {
	if t.ending.Add(1) == 2 {
		t.client.Close()
		t.comet.Close()
		t.ended(t.isShut())
	}
}

// abandon ends a tunnel that was never started.
func (t *tunnel) abandon() {
	t.ending.Store(1)
	t.end()
}

// drop ends a connection of which nothing is expected any more; what was written and
// not yet taken is dropped with it, instead of being kept by the kernel.
func drop(c net.Conn) {
	if s, ok := c.(*secureConn); ok {
		s.abort()
		return
	}
	if l, ok := c.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0) // what cannot be set leaves it to the kernel
	}
	c.Close()
}

// closeWrite says that no more will be written.
func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // fails when it has ended already
		return
	}
	c.Close()
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
