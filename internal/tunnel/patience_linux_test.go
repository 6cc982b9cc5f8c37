package tunnel

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/chunk"
	"github.com/halleycomet/halley/internal/park"
	"github.com/halleycomet/halley/internal/wsframe"
	"github.com/halleycomet/halley/internal/wsframe/wsframetest"
)

// long is more than a test takes: what happens all the same has another reason.
const long = 10 * time.Minute

// What one side does not take is kept, and the rest of the tunnel waits for it, at its
// end, too. Then it is told the end.
func TestTunnelKeepsTheEnd(t *testing.T) {
	t.Parallel()
	h := tunnelByHand(t, long)
	h.fills(&h.l.down)
	h.client.CloseWrite()
	h.hearsEnd(h.comet)
	h.expires(&h.l.comet) // which has not ended, too
	if h.finished() {
		t.Fatal("it has ended without what was kept")
	}
	h.hears(h.client, muchMore, wsframe.Close(wsframe.Restart))
	h.hearsEnd(h.client)
	h.ends(None)
}

// A client that takes nothing has no more than its time when the tunnel is to end,
// whatever it still sends.
func TestTunnelEndsWithoutItsClient(t *testing.T) {
	for name, says := range map[string]func(h *byHand){
		"silent":         func(*byHand) {},
		"within a frame": func(h *byHand) { h.client.Write([]byte("more")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := tunnelByHand(t, long)
			h.fills(&h.l.down)
			h.client.Write(wsframetest.Frame(2, true, make([]byte, 1<<20), true)[:100])
			h.hears(h.comet, wsframetest.Frame(2, true, make([]byte, 1<<20), true)[:100])
			h.l.Ask(Draining)
			h.l.Shut(CometDown)
			h.waitsOut(&h.l.client, func() { says(h) })
			h.do(func() { h.l.Ready(&h.l.client, park.Expired) })
			h.ends(CometDown)
		})
	}
}

// A client that takes something now and then is not stuck; one that is, is cut, and what
// it has not taken is dropped.
func TestTunnelIsPatient(t *testing.T) {
	t.Parallel()
	h := tunnelByHand(t, long)
	late := func() {
		if h.l.down.kept != nil {
			h.l.down.kept.took = time.Time{}
		}
		h.l.Ready(&h.l.client, park.Expired)
	}
	h.do(func() {
		h.l.down.kept = keep(muchMore, time.Time{}) // of which something can be taken now
		late()
		if k := h.l.down.kept; h.l.finished || k == nil || k.off == 0 || !k.took.Equal(h.l.loop.Now()) {
			t.Errorf("its client took something, finished: %v", h.l.finished)
		}
	})
	until(t, "its client takes nothing more", func() bool { h.do(late); return h.finished() })
	h.ends(ClientStuck)
	h.client.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.Copy(io.Discard, h.client); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client is told %v", err)
	}
}

// There may be room for what is kept when its time has passed; there is no deadline
// for a side that has taken everything.
func TestTunnelCatchesUp(t *testing.T) {
	t.Parallel()
	h := tunnelByHand(t, 40*time.Millisecond)
	h.do(func() {
		h.l.down.kept = keep([]byte("kept"), h.l.loop.Now())
		h.l.Ready(&h.l.client, park.Expired)
		if h.l.finished || h.l.down.kept != nil {
			t.Errorf("finished: %v", h.l.finished)
		}
	})
	h.do(func() {
		h.l.down.kept = keep([]byte("and more"), h.l.loop.Now())
		h.l.patient(&h.l.client)
		h.l.Ready(&h.l.client, park.Writable)
		h.l.loop.Timeouts(200 * time.Millisecond).Set(&h.l.comet)
	})
	h.hears(h.client, []byte("keptand more"))
	h.waitsOut(&h.l.comet, func() {})
	h.do(func() {
		if n := h.passed[&h.l.client]; n != 0 {
			t.Errorf("the time of a side that has taken all passed %d times", n)
		}
	})
}

// A comet that does not take what is kept for it has no time to answer before it has,
// and then all of it.
func TestTunnelWaitsForTheAnswer(t *testing.T) {
	t.Parallel()
	h := tunnelByHand(t, long)
	h.fills(&h.l.up)
	h.l.Ask(Draining)
	h.hears(h.comet, muchMore)
	h.hears(h.comet, []byte{0x88, 0x82})
	io.CopyN(io.Discard, h.comet, 6)
	h.do(func() {
		tooLate := wsframetest.Frame(1, true, []byte("too late"), true)
		h.client.Write(tooLate)
		h.arrives(&h.l.client, len(tooLate))
	})
	h.expires(&h.l.comet)
	h.hears(h.client, wsframe.Close(wsframe.Restart))
	h.hearsEnd(h.client)
	h.client.Close()
	h.hearsEnd(h.comet)
	h.comet.Close()
	h.ends(Draining)
	if h.l.in != int64(len(muchMore)) {
		t.Errorf("the client has sent %d bytes, it says", h.l.in)
	}
}

// A comet that takes nothing is looked at as often as its limit wants, also while its
// answer is awaited.
func TestTunnelLooksAtTheComet(t *testing.T) {
	t.Parallel()
	h := tunnelByHand(t, 40*time.Millisecond)
	h.fills(&h.l.up)
	h.do(func() {
		h.l.wish.Store(uint32(Draining))
		h.l.heed()
		h.l.loop.Timeouts(answerTime / 2).Set(&h.l.client)
	})
	h.waitsOut(&h.l.comet, func() {})
	h.do(func() {
		if h.passed[&h.l.client] != 0 {
			t.Error("it had the time of an answer")
		}
	})
}

// What grew is not lent to others.
func TestKeptBuffers(t *testing.T) {
	for range 100 {
		d := stream{kept: keep(muchMore, time.Time{})}
		d.drop()
		d.kept = keep(nil, time.Time{})
		if n := cap(d.kept.buf); n != chunk.Size || d.kept.off != 0 {
			t.Fatalf("%d bytes, %d have left", n, d.kept.off)
		}
	}
}
