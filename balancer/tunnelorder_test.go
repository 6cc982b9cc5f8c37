package balancer

import (
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/tunnel"
	"github.com/halleycomet/halley/internal/wsframe"
	"github.com/halleycomet/halley/internal/wsframe/wsframetest"
)

// leaving is a tunnel that is to end in order, with both its ends.
type leaving struct {
	*running
	client, comet net.Conn
	why           tunnel.End
}

// codes are what clients are told.
var codes = map[tunnel.End]wsframe.Code{tunnel.Stopping: wsframe.GoingAway, tunnel.Draining: wsframe.Restart}

// answerTime is how long the comet, or the client, has.
const answerTime = time.Second

// ask asks the tunnel to end.
func (l *leaving) ask() {
	ctx, cancel := context.WithCancel(l.t.Context())
	cancel() // nobody waits for it
	l.tunnels.CloseOver(ctx, l.why, 0)
}

// hears reads just this on one side.
func (l *leaving) hears(from net.Conn, want []byte) {
	l.t.Helper()
	got := make([]byte, len(want))
	from.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := io.ReadFull(from, got); err != nil || !bytes.Equal(got, want) {
		l.t.Fatalf("%d of %d bytes, the same up to %d: %v", n, len(want), same(got[:n], want), err)
	}
}

// hearsClose reads the close frame of a client on the comet's side.
func (l *leaving) hearsClose() {
	l.t.Helper()
	got := make([]byte, 8)
	l.comet.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(l.comet, got); err != nil || got[0] != 0x88 || got[1] != 0x82 {
		l.t.Fatalf("no masked close frame: % x %v", got, err)
	}
	if code := wsframe.Code(got[6]^got[2])<<8 | wsframe.Code(got[7]^got[3]); code != wsframe.GoingAway {
		l.t.Fatalf("the comet is told %d", code)
	}
}

// silent tells that nothing more comes on a side but its end.
func (l *leaving) silent(from net.Conn) {
	l.t.Helper()
	from.SetReadDeadline(time.Now().Add(10 * time.Second))
	if rest, err := io.ReadAll(from); len(rest) > 0 || err != nil {
		l.t.Errorf("after the end: % x %v", rest, err)
	}
}

// A tunnel that ends in order passes on all that the comet says before its close frame,
// and to the comet nothing that follows the one that it was sent.
func TestTunnelEndsInOrder(t *testing.T) { eachWay(t, testTunnelEndsInOrder) }

func testTunnelEndsInOrder(t *testing.T, way carriage) {
	said, more := wsframetest.Frame(1, true, []byte("said by the client"), true), wsframetest.Frame(1, true, noise(300), false)
	long := wsframetest.Frame(1, true, noise(60_000), false)
	bye := wsframetest.Frame(8, true, []byte{3, 233}, false)
	for i, tc := range []struct {
		name string
		ends func(l *leaving)
	}{
		{"the comet answers", func(l *leaving) {
			l.client.Write(said)
			l.hears(l.comet, said)
			l.ask()
			l.hearsClose()
			l.client.Write(said) // which is too late
			l.comet.Write(slices.Concat(more, long, bye, more))
			l.hears(l.client, slices.Concat(more, long, wsframe.Close(codes[l.why])))
		}},
		{"the comet answers byte by byte", func(l *leaving) {
			l.ask()
			l.hearsClose()
			for _, c := range slices.Concat(more, wsframetest.Frame(9, true, []byte{0x88}, false), wsframetest.Frame(0x8a, true, nil, false)) {
				l.comet.Write([]byte{c})
			}
			l.hears(l.client, slices.Concat(more, wsframetest.Frame(9, true, []byte{0x88}, false), wsframetest.Frame(0x8a, true, nil, false)))
			for _, c := range bye {
				l.comet.Write([]byte{c})
			}
			l.hears(l.client, wsframe.Close(codes[l.why]))
		}},
		{"the comet is within a frame", func(l *leaving) {
			l.comet.Write(long[:30_000])
			l.hears(l.client, long[:30_000])
			l.ask()
			l.hearsClose()
			l.comet.Write(append(long[30_000:len(long):len(long)], bye...))
			l.hears(l.client, append(long[30_000:len(long):len(long)], wsframe.Close(codes[l.why])...))
		}},
		{"the client is within a frame", func(l *leaving) {
			masked := wsframetest.Frame(1, true, noise(60_000), true)
			for _, at := range []int{1, 3, 30_000} {
				l.client.Write(masked[:at])
				l.hears(l.comet, masked[:at])
				if at != 30_000 {
					l.client.Write(masked[at:])
					l.hears(l.comet, masked[at:])
				}
			}
			l.ask()
			l.comet.Write(more)
			l.hears(l.client, more)
			l.client.Write(slices.Concat(masked[30_000:], said))
			l.hears(l.comet, masked[30_000:])
			l.hearsClose()
			l.comet.Write(append(more[:len(more):len(more)], bye...))
			l.hears(l.client, slices.Concat(more, wsframe.Close(codes[l.why])))
		}},
		{"the comet does not answer", func(l *leaving) {
			began := time.Now()
			l.ask()
			l.hearsClose()
			l.comet.Write(more)
			l.hears(l.client, slices.Concat(more, wsframe.Close(codes[l.why])))
			if took := time.Since(began); took < answerTime/2 {
				l.t.Errorf("the comet had %v", took)
			}
		}},
		{"the comet does not answer, within a frame", func(l *leaving) {
			l.comet.Write(long[:30_000])
			l.hears(l.client, long[:30_000])
			l.ask()
			l.hearsClose()
			<-time.After(answerTime + 200*time.Millisecond)
			l.comet.Write(long[30_000:])
			l.hears(l.client, append(long[30_000:len(long):len(long)], wsframe.Close(codes[l.why])...))
		}},
		{"the client does not end its frame", func(l *leaving) {
			l.client.Write(said[:7])
			l.hears(l.comet, said[:7])
			l.ask()
			l.comet.Write(more)
			l.hears(l.client, slices.Concat(more, wsframe.Close(codes[l.why])))
		}},
		{"the comet ends without a word", func(l *leaving) {
			l.ask()
			l.hearsClose()
			l.comet.Write(more)
			l.comet.Close()
			l.hears(l.client, slices.Concat(more, wsframe.Close(codes[l.why])))
		}},
		{"much is on its way, to a slow client", func(l *leaving) {
			flood := bytes.Repeat(long, 100)
			var wg sync.WaitGroup
			defer wg.Wait()
			wg.Go(func() {
				l.comet.Write(flood)
				l.comet.SetReadDeadline(time.Now().Add(10 * time.Second))
				io.ReadFull(l.comet, make([]byte, 8))
				l.comet.Write(append(more[:len(more):len(more)], bye...))
			})
			l.hears(l.client, flood[:100])
			l.ask()
			for rest := flood[100:]; len(rest) > 0; <-time.After(30 * time.Millisecond) {
				n := min(len(rest), 100_000)
				l.hears(l.client, rest[:n])
				rest = rest[n:]
			}
			l.hears(l.client, slices.Concat(more, wsframe.Close(codes[l.why])))
		}},
	} {
		for n, why := range []tunnel.End{tunnel.Draining, tunnel.Stopping} {
			if i > 0 && i%2 != n {
				continue // the first with both, of the others each with one
			}
			t.Run(tc.name+", "+why.String(), func(t *testing.T) {
				t.Parallel()
				comets := make(chan net.Conn, 1)
				b := way.listing(t, quick(), newFakeComet(t, "a", rawSocket(comets)))
				l := &leaving{running: b, why: why}
				l.client, _, _ = b.rawDial("")
				l.comet = <-comets
				defer l.comet.Close()
				tc.ends(l)
				l.silent(l.client)
				l.client.Close()
				l.comet.Close()
				b.until("the tunnel has ended", func() bool { return b.tunnels.Len() == 0 && b.clients.len() == 0 })
				if n := count(t, b.metrics.closed.WithLabelValues(why.String())); n != 1 {
					t.Errorf("counted %v times", n)
				}
			})
		}
	}
}

// When the client or the comet has said its last word already, the end is theirs: what
// they say of it is passed on, and nothing is added.
func TestTunnelEndsByItself(t *testing.T) { eachWay(t, testTunnelEndsByItself) }

func testTunnelEndsByItself(t *testing.T, way carriage) {
	fromClient, fromComet := wsframetest.Frame(8, true, []byte{3, 232}, true), wsframetest.Frame(8, true, []byte{3, 232}, false)
	comets := make(chan net.Conn, 1)
	b := way.listing(t, quick(), newFakeComet(t, "a", rawSocket(comets)))
	l := &leaving{running: b, why: tunnel.Stopping}
	l.client, _, _ = b.rawDial("")
	l.comet = <-comets
	l.client.Write(fromClient)
	l.hears(l.comet, fromClient)
	l.ask()
	l.comet.Write(fromComet)
	l.comet.Close()
	l.hears(l.client, fromComet)
	l.silent(l.client)
	l.client.Close()
	b.until("the tunnel has ended", func() bool { return b.tunnels.Len() == 0 && b.clients.len() == 0 })
}

// A comet that goes down while its answer is awaited ends the tunnel at once.
func TestTunnelEndsByDeath(t *testing.T) { eachWay(t, testTunnelEndsByDeath) }

func testTunnelEndsByDeath(t *testing.T, way carriage) {
	comets := make(chan net.Conn, 1)
	a := newFakeComet(t, "a", rawSocket(comets))
	b := way.listing(t, quick(), a)
	l := &leaving{running: b, why: tunnel.Stopping}
	l.client, _, _ = b.rawDial("")
	l.comet = <-comets
	defer l.comet.Close()
	l.ask()
	l.hearsClose()
	b.fleet.unreachable(b.comet(a), timeoutError{})
	l.hears(l.client, wsframe.Close(wsframe.Restart))
	l.silent(l.client)
	l.client.Close()
	b.until("the tunnel has ended", func() bool { return b.tunnels.Len() == 0 && b.clients.len() == 0 })
}
