package tunnel

import (
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/internal/chunk"
	"github.com/halleycomet/halley/internal/wsframe"
	"github.com/halleycomet/halley/internal/wsframe/wsframetest"
)

// halves is a connection without a network and without buffers. Each half can be closed.
type halves struct {
	net.Conn          // what is read
	out      net.Conn // what is written
}

func (h halves) Write(p []byte) (int, error)         { return h.out.Write(p) }
func (h halves) CloseWrite() error                   { return h.out.Close() }
func (h halves) SetWriteDeadline(at time.Time) error { return h.out.SetWriteDeadline(at) }

func (h halves) SetDeadline(at time.Time) error {
	return errors.Join(h.Conn.SetDeadline(at), h.out.SetDeadline(at))
}

func (h halves) Close() error { return errors.Join(h.Conn.Close(), h.out.Close()) }

// line is both ends of one.
func line() (a, b halves) {
	toB, fromA := net.Pipe()
	toA, fromB := net.Pipe()
	return halves{fromB, toB}, halves{fromA, toA}
}

// paired is a tunnel that two goroutines carry, in a bubble: its time is the test's.
type paired struct {
	*pair
	client, comet halves // their own ends
	ended         chan End
	began         time.Time
}

// startPair has one begin, with nothing to be passed on.
func startPair(limit time.Duration) *paired {
	p := &paired{ended: make(chan End, 1), began: time.Now()}
	var client, comet halves
	client, p.client = line()
	comet, p.comet = line()
	t := &Tunnel{limit: limit, release: func() {}, ended: func(_ *Tunnel, why End) { p.ended <- why }}
	p.pair = &pair{Tunnel: t, client: client, comet: comet}
	t.carriedBy(p.pair)
	p.start(Begun{Answer: []byte("answer")}, chunk.NewSource(comet))
	if n, err := io.ReadFull(p.client, make([]byte, 6)); err != nil {
		panic(n)
	}
	return p
}

// after checks how long it is since the tunnel began, to the nanosecond.
func (p *paired) after(t *testing.T, want time.Duration, what string) {
	t.Helper()
	if took := time.Since(p.began); took != want {
		t.Errorf("%s after %v, not after %v", what, took, want)
	}
}

// hears reads just this on one side.
func (p *paired) hears(t *testing.T, from io.Reader, want ...[]byte) {
	t.Helper()
	all := slices.Concat(want...)
	got := make([]byte, len(all))
	if n, err := io.ReadFull(from, got); err != nil || !slices.Equal(got, all) {
		t.Fatalf("% .20x %v, instead of % .20x", got[:n], err, all)
	}
}

// hearsEnd reads the end on one side.
func (p *paired) hearsEnd(t *testing.T, from io.Reader) {
	t.Helper()
	if rest, err := io.ReadAll(from); err != nil || len(rest) > 0 {
		t.Fatalf("instead of the end: % .20x %v", rest, err)
	}
}

// A side that takes a little now and then is not stuck, however long it needs for one
// piece; one that takes nothing is, and no sooner than after the limit.
func TestPairIsPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = time.Second
		p := startPair(limit)
		go p.comet.Write(wsframetest.Frame(2, true, make([]byte, 10_000), false))
		for range 30 {
			<-time.After(limit / 2)
			if n, err := p.client.Read(make([]byte, 1)); n != 1 || err != nil {
				t.Fatalf("cut after %v: %v", time.Since(p.began), err)
			}
		}
		last := time.Since(p.began)
		if why := <-p.ended; why != ClientStuck {
			t.Errorf("ended by %v", why)
		}
		if took := time.Since(p.began) - last; took < limit || took > limit+limit/2 {
			t.Errorf("cut %v after it took something last", took)
		}
		p.comet.Close()
		p.client.Close()
	})
}

// A comet that is down is let go at once, and its client has its time to end.
func TestPairLetsADeadCometGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startPair(time.Minute)
		p.Shut(CometDown)
		p.hears(t, p.client, wsframe.Close(wsframe.Restart))
		p.hearsEnd(t, p.client)
		p.hearsEnd(t, p.comet)
		p.after(t, 0, "both are told")
		if why := <-p.ended; why != CometDown {
			t.Errorf("ended by %v", why)
		}
		p.after(t, Linger, "it ends")
	})
}

// A comet that is well gets what the client has said before it knew, and may end in its
// time; what it says is dropped.
func TestPairEndsGently(t *testing.T) {
	for _, tc := range []struct {
		name string
		ends func(t *testing.T, p *paired)
		took time.Duration
	}{
		{"both end", func(t *testing.T, p *paired) {
			p.client.Close()
			p.hearsEnd(t, p.comet)
			p.comet.Close()
		}, 0},
		{"the comet takes its time", func(t *testing.T, p *paired) {
			p.client.Close()
			p.hearsEnd(t, p.comet)
			<-time.After(Linger / 2)
			if _, err := p.comet.Write([]byte("dropped")); err != nil {
				t.Error(err)
			}
			p.comet.Close()
		}, Linger / 2},
		{"the comet does not end", func(t *testing.T, p *paired) {
			p.client.Close()
			p.hearsEnd(t, p.comet)
		}, Linger},
		{"neither ends", func(t *testing.T, p *paired) {
			p.hearsEnd(t, p.comet)
			p.after(t, Linger, "the comet is told the end")
		}, 2 * Linger},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startPair(time.Minute)
				p.Shut(Stopping)
				p.hears(t, p.client, wsframe.Close(wsframe.GoingAway))
				p.hearsEnd(t, p.client)
				more := wsframetest.Frame(1, true, []byte("more"), true)
				p.client.Write(more)
				p.hears(t, p.comet, more)
				for range 3 {
					if _, err := p.comet.Write([]byte("dropped")); err != nil {
						t.Fatal(err)
					}
				}
				tc.ends(t, p)
				if why := <-p.ended; why != Stopping {
					t.Errorf("ended by %v", why)
				}
				p.after(t, tc.took, "it ends")
				if p.in != int64(len(more)) || p.out != int64(len("answer")) {
					t.Errorf("%d bytes in, %d out", p.in, p.out)
				}
			})
		})
	}
}

// What the balancer says to the comet is not counted as the client's.
func TestPairCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startPair(time.Minute)
		said, bye := wsframetest.Frame(1, true, []byte("said"), true), wsframetest.Frame(8, true, []byte{3, 233}, false)
		p.client.Write(said)
		p.hears(t, p.comet, said)
		p.Ask(Draining)
		p.hears(t, p.comet, []byte{0x88, 0x82})
		io.CopyN(io.Discard, p.comet, 6)
		go p.comet.Write(bye)
		p.hears(t, p.client, wsframe.Close(wsframe.Restart))
		p.hearsEnd(t, p.client)
		p.after(t, 0, "all is said")
		p.client.Close()
		p.comet.Close()
		if why := <-p.ended; why != Draining || p.in != int64(len(said)) {
			t.Errorf("ended by %v, %d bytes in", why, p.in)
		}
	})
}
