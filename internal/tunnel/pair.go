package tunnel

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/halleycomet/halley/internal/chunk"
	"github.com/halleycomet/halley/internal/wsframe"
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
	*Tunnel
	client, comet net.Conn

	// Safe for any goroutine.
	ending atomic.Int32 // directions that have ended
	parted atomic.Int64 // when the comet was told the end, in Unix nanoseconds; 0: it was not
	told   atomic.Bool  // the client was told it

	// Owned by the goroutine from comet to client.
	frames wsframe.Follower
	until  time.Time // when the comet is late; zero while nobody wants the tunnel to end
	late   bool      // it did not answer in time

	// Owned by the goroutine from client to comet.
	said wsframe.Follower
}

// start begins to pass bytes on, those first that were read before.
func (t *pair) start(begun Begun, comet *chunk.Source) {
	go t.toClient(begun.Answer, begun.Frames, comet)
	go t.toComet(begun.Early)
}

// attend sees that both goroutines look at why and wish.
func (t *pair) attend() {
	t.comet.SetReadDeadline(past) // wakes toClient, which knows where the stream is
	if t.isShut() != None {
		t.client.SetWriteDeadline(time.Now().Add(Linger)) // also when the client takes nothing
	} else if !t.told.Load() {
		t.client.SetReadDeadline(past) // wakes toComet, which knows that of the other
	}
}

// level is for how long nothing comes from a comet that is late, until it is taken for
// having nothing more.
const level = 20 * time.Millisecond

// obliged is called when the comet was waited for in vain: it tells whether the tunnel
// goes on all the same, because it was asked to end, and the comet has time to answer or
// is within a frame.
func (t *pair) obliged() bool {
	why, now := t.Asked(), time.Now()
	if why == None || t.isShut() != None {
		return false
	}
	if t.until.IsZero() {
		t.until = now.Add(answerTime)
	}
	if at := t.parted.Load(); at != 0 && !t.late {
		t.until = time.Unix(0, at).Add(answerTime)
	}
	if t.late && t.frames.Between() {
		t.Shut(why)
		return false
	}
	t.late = !now.Before(t.until)
	t.patient()
	return t.isShut() == None // shut may have come just before
}

// patient bounds the silence of a comet that is to answer.
func (t *pair) patient() {
	switch {
	case !t.late:
		t.comet.SetReadDeadline(t.until)
	case t.frames.Between():
		t.comet.SetReadDeadline(time.Now().Add(level))
	default:
		t.comet.SetReadDeadline(time.Time{})
	}
}

// write passes p on. A side that takes nothing of it for the limit is stuck, and the
// tunnel ends; whatever it takes gives it new time. The limit is looked at in quarters,
// because the kernel says that there is room again only when there is much of it.
func (t *pair) write(to net.Conn, p []byte, stuck End) error {
	step := max(t.limit/4, 1)
	if isTLS(to) {
		step = t.limit // a record of which a part was written cannot be taken up again
	}
	for last := time.Now(); ; {
		if err := to.SetWriteDeadline(time.Now().Add(step)); err != nil {
			return err
		}
		if t.isShut() != None {
			to.SetWriteDeadline(time.Now().Add(Linger)) // shut may have come just before
		}
		n, err := to.Write(p)
		if stuck == ClientStuck {
			t.out += int64(n)
		} else {
			t.in += int64(n)
		}
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || t.isShut() != None {
			return err
		}
		if p = p[n:]; n > 0 {
			last = time.Now()
		} else if time.Since(last) >= t.limit {
			t.Shut(stuck)
			return err
		}
	}
}

// toClient passes on what the comet sends, until it or the client ends, or shut is
// called.
func (t *pair) toClient(answer, frames []byte, comet *chunk.Source) {
	defer t.end()
	answered := false // the comet has said its last word
	err := t.write(t.client, answer, ClientStuck)
	if err == nil && len(frames) > 0 {
		err = t.write(t.client, frames, ClientStuck)
		t.frames.Feed(frames)
	}
	for err == nil {
		c, rerr := comet.Next()
		if errors.Is(rerr, os.ErrDeadlineExceeded) && t.obliged() {
			continue
		}
		if rerr != nil {
			if !errors.Is(rerr, os.ErrDeadlineExceeded) && t.parted.Load() != 0 {
				t.Shut(t.Asked())
				answered = true // in a way
			}
			break
		}
		p := c.Bytes()
		if t.parted.Load() != 0 {
			var n int
			n, answered = t.frames.BeforeClose(p)
			err = t.write(t.client, p[:n], ClientStuck)
		} else if err = t.write(t.client, p, ClientStuck); err == nil {
			t.frames.Feed(p)
		}
		c.Free()
		if answered {
			t.Shut(t.Asked())
		} else if t.late {
			t.patient()
		}
		if answered || t.isShut() != None {
			break
		}
	}
	if err != nil { // the client is gone, or takes nothing
		if t.isShut() == ClientStuck {
			drop(t.client)
		}
		t.client.Close()
		t.comet.Close()
		return
	}
	t.client.SetWriteDeadline(time.Now().Add(Linger))
	if t.frames.Between() {
		_, _ = t.client.Write(wsframe.Close(t.isShut().code())) // it ends in any case
	}
	gentle := t.isShut().gentle() && !answered
	if !gentle {
		t.comet.Close()
	}
	CloseWrite(t.client)
	t.told.Store(true)
	t.client.SetReadDeadline(time.Now().Add(Linger))
	if gentle {
		t.forget(comet)
	}
}

// forget drops what the comet says after the client was told that this is the end.
// The comet still gets what the client had sent before it knew.
func (t *pair) forget(comet *chunk.Source) {
	t.comet.SetReadDeadline(time.Now().Add(2 * Linger))
	for {
		c, err := comet.Next()
		if err != nil {
			return
		}
		c.Free()
	}
}

// toComet passes on what the client sends, until the comet is told the end. When it is
// to have nothing more, the rest is read and dropped, until the client has seen its end.
func (t *pair) toComet(early []byte) {
	defer t.end()
	err := t.say(early)
	for client := chunk.NewSource(t.client); ; {
		if err == nil {
			err = t.part()
		}
		c, rerr := client.Next()
		if errors.Is(rerr, os.ErrDeadlineExceeded) && t.listens() {
			continue
		}
		if rerr != nil {
			break
		}
		if err == nil {
			err = t.say(c.Bytes())
		}
		c.Free()
	}
	CloseWrite(t.comet)
	t.comet.SetReadDeadline(time.Now().Add(Linger))
	if why := t.isShut(); why != None && !why.gentle() {
		t.comet.SetReadDeadline(past)
	}
}

// listens is called when toComet was woken: it tells whether the client may still say
// something that counts.
func (t *pair) listens() bool {
	if t.told.Load() {
		return false // its time to end is over
	}
	t.client.SetReadDeadline(time.Time{})
	if t.told.Load() { // which may have come just before
		t.client.SetReadDeadline(time.Now().Add(Linger))
	}
	return true
}

// say passes on what the client says; if the tunnel is about to end, to the end of the
// frame.
func (t *pair) say(p []byte) (err error) {
	for len(p) > 0 && err == nil && t.parted.Load() == 0 {
		n := len(p)
		if t.leaves() {
			n = t.said.Next(p)
		} else {
			t.said.Feed(p)
		}
		if err = t.write(t.comet, p[:n], CometStuck); err == nil {
			err = t.part()
		}
		p = p[n:]
	}
	return err
}

// leaves tells whether the tunnel was asked to end, and neither side was told yet.
func (t *pair) leaves() bool {
	return t.Asked() != None && t.isShut() == None && !t.told.Load() && t.parted.Load() == 0
}

// part tells the comet the end, as its client would, if it is time and a close frame may
// stand there.
func (t *pair) part() error {
	if !t.leaves() || !t.said.Between() {
		return nil
	}
	t.parted.Store(time.Now().UnixNano())
	bye := wsframe.MaskedClose(wsframe.GoingAway)
	t.in -= int64(len(bye))
	return t.write(t.comet, bye, CometStuck)
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
	if s, ok := c.(interface{ Abort() }); ok {
		s.Abort()
		return
	}
	if l, ok := c.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0) // what cannot be set leaves it to the kernel
	}
	c.Close()
}

// CloseWrite says that no more will be written.
func CloseWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // fails when it has ended already
		return
	}
	c.Close()
}

// isTLS tells whether what is written to a connection goes out in records of TLS.
func isTLS(conn net.Conn) bool {
	_, is := conn.(interface{ ConnectionState() tls.ConnectionState })
	return is
}
