package balancer

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// pair is two goroutines that pass on the bytes of a tunnel, one for each direction.
// No buffer is held while nothing moves. io.Copy is not used: between two TCP
// connections it splices, and an idle tunnel would hold two pipes, four descriptors.
//
// Only the goroutine from comet to client writes to the client, so a close frame of
// the balancer's own cannot get between the bytes of another.
//
// Tunnels are carried so where no loop does it: under TLS, and on other systems than
// Linux.
type pair struct {
	// Fixed after construction.
	*tunnel
	client, comet net.Conn

	// Safe for any goroutine.
	ending atomic.Int32 // directions that have ended

	// Owned by the goroutine from comet to client.
	frames frames
}

// start begins to pass bytes on. The comet has sent its answer to the upgrade and
// maybe some frames after it; the client may have sent early what followed its
// request.
func (t *pair) start(answer, frames, early []byte, comet *source) {
	go t.toClient(answer, frames, comet)
	go t.toComet(early)
}

// attend sees that toClient looks at why and wish.
func (t *pair) attend() {
	t.comet.SetReadDeadline(past) // wakes toClient, which knows where the stream is
	if t.isShut() != endNone {
		t.client.SetWriteDeadline(time.Now().Add(linger)) // also when the client takes nothing
	}
}

// obliged is called when the comet was waited for in vain: it tells whether the tunnel
// goes on all the same, because it was asked to end and is within a frame.
func (t *pair) obliged() bool {
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
func (t *pair) write(to net.Conn, p []byte, stuck tunnelEnd) error {
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
		if stuck == endClientStuck {
			t.out += int64(n)
		} else {
			t.in += int64(n)
		}
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
func (t *pair) toClient(answer, frames []byte, comet *source) {
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
func (t *pair) forget(comet *source) {
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
func (t *pair) toComet(early []byte) {
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
func (t *pair) end() {
	if t.ending.Add(1) == 2 {
		t.client.Close()
		t.comet.Close()
		t.over()
	}
}

// abandon ends a tunnel that was never started.
func (t *pair) abandon() {
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
