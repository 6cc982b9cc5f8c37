package tunnel

import (
	"testing"

	"github.com/halleycomet/halley/internal/chunk"
	"github.com/halleycomet/halley/internal/park"
	"github.com/halleycomet/halley/internal/wsframe"
	"github.com/halleycomet/halley/internal/wsframe/wsframetest"
)

// The end of a comet, and what it said last, may come at once.
func TestTunnelReadsToTheEnd(t *testing.T) {
	t.Parallel()
	h := tunnelByHand(t, long)
	last := wsframetest.Frame(1, true, []byte("last"), false)
	h.do(func() {
		h.comet.Write(last)
		h.comet.Close()
		h.arrives(&h.l.comet, len(last))
	})
	h.hears(h.client, last, wsframe.Close(wsframe.Restart))
	h.hearsEnd(h.client)
	h.client.Close()
	h.ends(None)
}

// A comet that is down is let go at once, with what it has not taken. What its client
// still says is dropped, and nobody counts it.
func TestTunnelLetsADeadCometGo(t *testing.T) {
	t.Parallel()
	h := tunnelByHand(t, long)
	h.fills(&h.l.up)
	h.do(func() {
		h.l.why.Store(uint32(CometDown))
		h.l.heed()
		if h.l.comet.Open() || h.l.up.kept != nil || h.l.finished {
			t.Errorf("open: %v, finished: %v", h.l.comet.Open(), h.l.finished)
		}
	})
	h.hears(h.client, wsframe.Close(wsframe.Restart))
	h.hearsEnd(h.client)
	h.client.Write([]byte("too late"))
	h.client.Close()
	h.ends(CometDown)
	if h.l.in != int64(len(muchMore)) {
		t.Errorf("%d bytes are counted, of %d", h.l.in, len(muchMore))
	}
}

// A comet that is well gets what the client has said before it knew, and may end in its
// time; what it says is dropped.
func TestTunnelEndsGentlyByHand(t *testing.T) {
	said, more := wsframetest.Frame(1, true, []byte("said"), true), wsframetest.Frame(1, true, []byte("more"), true)
	begin := func(t *testing.T) *byHand {
		t.Parallel()
		h := tunnelByHand(t, long)
		h.client.Write(said)
		h.hears(h.comet, said)
		h.l.Shut(Stopping)
		h.hears(h.client, wsframe.Close(wsframe.GoingAway))
		h.hearsEnd(h.client)
		h.client.Write(more)
		h.hears(h.comet, more)
		return h
	}
	t.Run("both end", func(t *testing.T) {
		h := begin(t)
		h.client.Close()
		h.hearsEnd(h.comet)
		if h.finished() {
			t.Fatal("it does not wait for the comet")
		}
		h.comet.Write(wsframetest.Frame(1, true, []byte("dropped"), false))
		h.comet.Close()
		h.ends(Stopping)
	})
	t.Run("the comet ends first", func(t *testing.T) {
		h := begin(t)
		h.comet.Close()
		until(t, "its end is read", func() (read bool) { h.do(func() { read = h.l.down.over }); return read })
		if h.finished() {
			t.Fatal("it does not wait for the client")
		}
		h.client.Close()
		h.ends(Stopping)
	})
	t.Run("neither ends", func(t *testing.T) {
		h := begin(t)
		h.expires(&h.l.client)
		h.hearsEnd(h.comet)
		if h.finished() {
			t.Fatal("it does not wait for the comet")
		}
		h.expires(&h.l.comet)
		h.ends(Stopping)
	})
	t.Run("the comet takes nothing", func(t *testing.T) {
		t.Parallel()
		h := tunnelByHand(t, long)
		h.fills(&h.l.up)
		h.l.Shut(Stopping)
		h.hears(h.client, wsframe.Close(wsframe.GoingAway))
		h.expires(&h.l.client)
		if !h.finished() {
			t.Error("it waits for a comet that cannot be told the end")
		}
		h.ends(Stopping)
	})
}

// A comet that is late is heard to the end of its frame, wherever that ends.
func TestTunnelHearsALateComet(t *testing.T) {
	t.Parallel()
	h := tunnelByHand(t, long)
	two := wsframetest.Frame(1, true, make([]byte, 2*chunk.Size), false)
	h.comet.Write(two[:len(two)-chunk.Size])
	h.hears(h.client, two[:len(two)-chunk.Size])
	h.l.Ask(Stopping)
	h.hears(h.comet, []byte{0x88, 0x82})
	h.expires(&h.l.comet)
	h.do(func() {
		h.comet.Write(two[len(two)-chunk.Size:])
		h.arrives(&h.l.comet, chunk.Size)
		h.l.Ready(&h.l.comet, park.Readable)
		if !h.l.told {
			t.Error("it waits for more")
		}
	})
	h.hears(h.client, two[len(two)-chunk.Size:], wsframe.Close(wsframe.GoingAway))
	h.hearsEnd(h.client)
	h.client.Close()
	h.comet.Close()
	h.ends(Stopping)
}

// A comet that is late has been heard when nothing more is there to be read; the turn of
// its tunnel may have been over before.
func TestTunnelHearsALateCometOut(t *testing.T) {
	t.Parallel()
	h := tunnelByHand(t, long)
	more := wsframetest.Frame(1, true, []byte("more"), false)
	h.l.Ask(Stopping)
	h.hears(h.comet, []byte{0x88, 0x82})
	h.do(func() {
		h.comet.Write(more)
		h.arrives(&h.l.comet, len(more))
		h.l.down.more = true
		h.l.Ready(&h.l.comet, park.Expired)
	})
	h.hears(h.client, more, wsframe.Close(wsframe.GoingAway))
	h.hearsEnd(h.client)
	h.client.Close()
	h.comet.Close()
	h.ends(Stopping)
}

// A comet that has said its last word already hears all of its client's, and nothing of
// the balancer's.
func TestTunnelOfACometThatSaidGoodbye(t *testing.T) {
	t.Parallel()
	h := tunnelByHand(t, long)
	bye := wsframetest.Frame(8, true, []byte{3, 232}, false)
	said, answer := wsframetest.Frame(1, true, []byte("said"), true), wsframetest.Frame(8, true, []byte{3, 232}, true)
	h.comet.Write(bye)
	h.hears(h.client, bye)
	h.l.Ask(Stopping)
	h.do(func() {
		h.client.Write(append(said[:len(said):len(said)], answer...))
		h.arrives(&h.l.client, len(said)+len(answer))
	})
	h.hears(h.comet, said, answer)
	h.comet.Close()
	h.hearsEnd(h.client)
	h.client.Close()
	h.ends(None)
}

// A comet that takes nothing more is not told the end. That is its own, when it comes.
func TestTunnelOfACometThatTakesNothingMore(t *testing.T) {
	for name, happens := range map[string]func(h *byHand){
		"a write fails": func(h *byHand) {
			h.fills(&h.l.up)
			h.do(func() {
				if h.l.lost(&h.l.up); h.l.up.kept != nil {
					h.t.Error("something is kept for it")
				}
			})
		},
		"the client ended": func(h *byHand) { h.client.CloseWrite(); h.hearsEnd(h.comet) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := tunnelByHand(t, long)
			happens(h)
			h.do(func() {
				h.l.wish.Store(uint32(Stopping))
				h.l.heed()
			})
			h.comet.Close()
			h.hears(h.client, wsframe.Close(wsframe.Restart))
			h.hearsEnd(h.client)
			h.client.Close()
			h.ends(None)
		})
	}
}

// What came before the loop had the tunnel counts: for where either side is in its
// frame, and for its end.
func TestTunnelStartsWithinItsEnd(t *testing.T) {
	t.Parallel()
	h := tunnelByHand(t, long)
	said, half := wsframetest.Frame(1, true, []byte("said"), true), wsframetest.Frame(1, true, []byte("of a frame"), false)
	h.do(func() {
		h.l.wish.Store(uint32(Stopping))
		h.l.start(Begun{[]byte("answer"), half[:5], said[:7]})
	})
	h.hears(h.client, []byte("answer"), half[:5])
	h.hears(h.comet, said[:7])
	h.client.Write(said[7:])
	h.hears(h.comet, said[7:], []byte{0x88, 0x82})
	h.expires(&h.l.comet)
	h.do(func() {
		if h.l.told {
			t.Error("its client is told the end within a frame")
		}
	})
	h.comet.Write(half[5:])
	h.hears(h.client, half[5:], wsframe.Close(wsframe.GoingAway))
	h.hearsEnd(h.client)
	h.client.Close()
	h.comet.Close()
	h.ends(Stopping)

	h = tunnelByHand(t, long)
	h.do(func() {
		h.l.why.Store(uint32(CometDown))
		h.l.start(Begun{Answer: []byte("answer")})
	})
	h.hears(h.client, []byte("answer"), wsframe.Close(wsframe.Restart))
	h.client.Close()
	h.ends(CometDown)
}
