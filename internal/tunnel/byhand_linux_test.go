package tunnel

import (
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/park"
	"github.com/halleycomet/halley/internal/wsframe/wsframetest"
	"golang.org/x/sys/unix"
)

// startLoops has one loop run until the test ends.
func startLoops(t *testing.T) *park.Loops {
	t.Helper()
	loops := park.NewLoops(1)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { loops.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	until(t, "the loop runs", func() bool { return loops.Next().Post(func() {}) })
	return loops
}

// until waits until cond holds.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// byHand is a tunnel in a loop of its own. That the time of a side has passed it is told
// by the test, and when the test says so: nothing depends on how fast the machine is.
type byHand struct {
	t             *testing.T
	l             *looped
	client, comet *net.TCPConn // their own ends
	ended         chan End

	// Owned by the loop.
	passed map[*park.Sock]int // how often the time of a side has passed, and nobody has waited for it
}

// tunnelByHand is one whose sides may take nothing for that long. The buffers of its
// sockets are small.
func tunnelByHand(t *testing.T, limit time.Duration) *byHand {
	t.Helper()
	return tunnelWithBuffers(t, limit, 32<<10)
}

// tunnelWithBuffers is one whose sockets have such buffers; 0 leaves them to the system.
func tunnelWithBuffers(t *testing.T, limit time.Duration, size int) *byHand {
	t.Helper()
	loop := startLoops(t).Next()
	h := &byHand{t: t, ended: make(chan End, 1), passed: make(map[*park.Sock]int)}
	h.l = &looped{loop: loop, Tunnel: &Tunnel{limit: limit, release: func() {}, ended: func(_ *Tunnel, why End) { h.ended <- why }}}
	h.l.carriedBy(h.l)
	client, outer := tcpPair(t)
	comet, inner := tcpPair(t)
	h.client, h.comet = outer, inner
	for _, c := range []*net.TCPConn{client, outer, comet, inner} {
		if size > 0 {
			c.SetReadBuffer(size)
			c.SetWriteBuffer(size)
		}
	}
	h.do(func() {
		if err := loop.Adopt(&h.l.comet, comet, h); err != nil {
			t.Error(err)
		}
		if err := loop.Adopt(&h.l.client, client, h); err != nil {
			t.Error(err)
		}
	})
	return h
}

// Ready keeps from the tunnel that its time has passed.
func (h *byHand) Ready(s *park.Sock, e park.Events) {
	if e&park.Expired != 0 {
		h.passed[s]++
	}
	if e &^= park.Expired; e != 0 {
		h.l.Ready(s, e)
	}
}

// do has something done in the loop, with nothing else in between.
func (h *byHand) do(what func()) {
	h.t.Helper()
	done := make(chan struct{})
	if !h.l.loop.Post(func() { what(); close(done) }) {
		h.t.Fatal("the loop has ended")
	}
	<-done
}

// waitsOut waits until the time of a side has passed, once more than was waited for; the
// test does something meanwhile.
func (h *byHand) waitsOut(s *park.Sock, meanwhile func()) {
	h.t.Helper()
	until(h.t, "its time passes", func() (passed bool) {
		meanwhile()
		h.do(func() {
			if passed = h.passed[s] > 0; passed {
				h.passed[s]--
			}
		})
		return passed
	})
}

// expires waits until the time of a side has passed, and has the tunnel know.
func (h *byHand) expires(s *park.Sock) {
	h.t.Helper()
	h.waitsOut(s, func() {})
	h.do(func() { h.l.Ready(s, park.Expired) })
}

// muchMore is a frame of which the sockets take but a part.
var muchMore = wsframetest.Frame(2, true, make([]byte, 2<<20), false)

// fills has the tunnel keep something for one side.
func (h *byHand) fills(d *stream) {
	h.t.Helper()
	h.do(func() {
		if h.l.pass(d, muchMore); d.kept == nil {
			h.t.Error("nothing is kept")
		}
	})
}

// finished tells whether the tunnel is at its end.
func (h *byHand) finished() (yes bool) {
	h.t.Helper()
	h.do(func() { yes = h.l.finished })
	return yes
}

// hears reads just this on one side.
func (h *byHand) hears(from *net.TCPConn, want ...[]byte) {
	h.t.Helper()
	all := slices.Concat(want...)
	got := make([]byte, len(all))
	from.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := io.ReadFull(from, got); err != nil || !bytes.Equal(got, all) {
		h.t.Fatalf("%d of %d bytes, the same: %v, %v", n, len(all), bytes.Equal(got[:n], all[:n]), err)
	}
}

// hearsEnd reads the end on one side.
func (h *byHand) hearsEnd(from *net.TCPConn) {
	h.t.Helper()
	from.SetReadDeadline(time.Now().Add(20 * time.Second))
	if rest, err := io.ReadAll(from); len(rest) > 0 || err != nil {
		h.t.Fatalf("instead of the end: % .20x %v", rest, err)
	}
}

// ends waits until the tunnel has ended, and for that reason.
func (h *byHand) ends(want End) {
	h.t.Helper()
	select {
	case why := <-h.ended:
		if why != want {
			h.t.Errorf("ended by %v, not by %v", why, want)
		}
	case <-time.After(20 * time.Second):
		h.t.Fatal("it does not end")
	}
	h.do(func() {
		if l := h.l; l.client.Open() || l.comet.Open() || l.up.kept != nil || l.down.kept != nil {
			h.t.Error("something is left of it")
		}
	})
}

// arrives waits, in the loop, until just so much can be read from a side.
func (h *byHand) arrives(s *park.Sock, n int) {
	deadline := time.Now().Add(10 * time.Second)
	for there := -1; there != n; {
		s.Control(func(fd uintptr) { there, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
		if time.Now().After(deadline) {
			h.t.Errorf("%d bytes have come, not %d", there, n)
			return
		}
	}
}

// One direction of a tunnel passes on so much, and then others have their turn.
func TestTunnelTurnIsBounded(t *testing.T) {
	h := tunnelWithBuffers(t, long, 0)
	sent := wsframetest.Frame(2, true, make([]byte, 3*turn), false)
	turns := make(chan int64, 1)
	// While the loop is kept, more than a turn arrives from the comet.
	kept, free := make(chan struct{}), make(chan struct{})
	h.l.loop.Post(func() { close(kept); <-free })
	<-kept
	if _, err := h.comet.Write(sent); err != nil {
		t.Fatal(err)
	}
	h.l.loop.Post(func() { // the first turn was when the loop was told that there is something
		before := h.l.out
		h.l.pump(&h.l.down)
		turns <- h.l.out - before
	})
	close(free)
	if n := <-turns; n > turn {
		t.Errorf("%d bytes in one turn, more than %d", n, turn)
	} else if n == 0 {
		t.Error("nothing was left for a second turn")
	}
	h.hears(h.client, sent)
}
