package balancer

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fasthttp/websocket"
)

// counted is a tunnel that notes how it was ended.
type counted struct {
	set      *tunnelSet
	midFrame bool

	wish   atomic.Uint32
	askAt  time.Time
	shutAt time.Time
	why    tunnelEnd
}

func (c *counted) ask(why tunnelEnd) {
	c.wish.Store(uint32(why))
	c.askAt, c.why = time.Now(), why
	if !c.midFrame {
		c.set.remove(c)
	}
}

func (c *counted) shut(why tunnelEnd) {
	c.shutAt, c.why = time.Now(), why
	c.set.remove(c)
}

func (c *counted) asked() tunnelEnd { return tunnelEnd(c.wish.Load()) }

func fill(s *tunnelSet, n int) []*counted {
	all := make([]*counted, n)
	for i := range all {
		all[i] = &counted{set: s}
		s.add(all[i])
	}
	return all
}

// The ends of many tunnels are spread evenly over the window, whatever their number.
func TestCloseOverIsEven(t *testing.T) {
	for _, n := range []int{1, 3, 100, 9000} {
		synctest.Test(t, func(t *testing.T) {
			const window = 10 * time.Second
			s := newTunnelSet()
			all := fill(s, n)
			began := time.Now()
			s.closeOver(t.Context(), endDraining, window)
			if took := time.Since(began); took > window || n >= 100 && took < window*8/10 {
				t.Errorf("%d tunnels took %v", n, took)
			}
			var at []time.Duration
			for _, c := range all {
				if c.why != endDraining || c.askAt.IsZero() || !c.shutAt.IsZero() {
					t.Fatalf("ended by %v, asked at %v, shut at %v", c.why, c.askAt, c.shutAt)
				}
				at = append(at, c.askAt.Sub(began))
			}
			// In no second are there more than a tenth of them and a little.
			for i, from := range slices.Sorted(slices.Values(at)) {
				n := 0
				for _, d := range at {
					if d >= from && d < from+window/10 {
						n++
					}
				}
				if n > len(at)/10+len(at)/50+2 {
					t.Fatalf("from number %d on %d of %d end within a tenth of the window", i, n, len(at))
				}
				if len(at) > 1000 && i > 0 {
					break
				}
			}
		})
	}
}

// Those that come meanwhile have their turn too, and those that take their time have
// some more than the window.
func TestCloseOverLatecomersAndFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window = 10 * time.Second
		s := newTunnelSet()
		all := fill(s, 20)
		all[7].midFrame = true
		began := time.Now()
		var late *counted
		var wg sync.WaitGroup
		wg.Go(func() {
			<-time.After(5 * time.Second)
			late = fill(s, 1)[0]
		})
		s.closeOver(t.Context(), endStopping, window)
		wg.Wait()
		if took := time.Since(began); took != window+closeGrace {
			t.Errorf("took %v", took)
		}
		if late.askAt.IsZero() || late.askAt.Sub(began) > window*9/10+closeStep {
			t.Errorf("the latecomer was asked at %v", late.askAt)
		}
		if c := all[7]; c.askAt.IsZero() || c.shutAt.Sub(began) != window+closeGrace || c.why != endStopping {
			t.Errorf("within a frame: asked at %v, shut at %v by %v", c.askAt, c.shutAt, c.why)
		}
		if s.len() != 0 {
			t.Errorf("%d are left", s.len())
		}
	})
}

// Without a window all end at once; when ctx ends the rest goes on.
func TestCloseOverBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTunnelSet()
		fill(s, 100)
		began := time.Now()
		s.closeOver(t.Context(), endStopping, 0)
		if s.len() != 0 || time.Since(began) != 0 {
			t.Errorf("%d are left after %v", s.len(), time.Since(began))
		}
		fill(s, 100)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.closeOver(ctx, endStopping, 10*time.Second) })
		<-time.After(5 * time.Second)
		cancel()
		wg.Wait()
		if n := s.len(); n < 40 || n > 60 {
			t.Errorf("%d are left after half of the window", n)
		}
	})
}

func TestStopWindow(t *testing.T) {
	for _, c := range []struct {
		n          int
		time, want time.Duration
	}{
		{0, 5 * time.Second, 0},
		{10, 5 * time.Second, 100 * time.Millisecond},
		{9000, 5 * time.Second, 4 * time.Second},
		{9000, time.Second, 500 * time.Millisecond},
	} {
		if got := stopWindow(c.n, c.time); got != c.want {
			t.Errorf("%d tunnels in %v: %v, want %v", c.n, c.time, got, c.want)
		}
	}
}

// When the balancer stops, the WebSockets of its clients end one after the other, each
// with 1001.
func TestStopSpreadsTheEnds(t *testing.T) { eachWay(t, testStopSpreadsTheEnds) }

func testStopSpreadsTheEnds(t *testing.T, way carriage) {
	const n = 100
	cfg := quick()
	cfg.StopTime = time.Second
	b := way.listing(t, cfg, newFakeComet(t, "a", echoSocket))
	ends := make(chan error, n)
	var wg sync.WaitGroup
	for range n {
		conn := b.dial("/cometd")
		wg.Go(func() {
			_, _, err := conn.ReadMessage()
			conn.Close()
			ends <- err
		})
	}
	began := time.Now()
	stopped := make(chan struct{})
	go func() { b.stop(); close(stopped) }()
	var half time.Duration
	for i := range n {
		if err := <-ends; !websocket.IsCloseError(err, int(closeGoingAway)) {
			t.Errorf("number %d ends with %v", i, err)
		}
		if i == n/2 {
			half = time.Since(began)
		}
	}
	window := stopWindow(n, cfg.StopTime)
	if took := time.Since(began); half < window/4 || took < window/2 {
		t.Errorf("half of them had ended after %v, the last after %v", half, took)
	}
	wg.Wait()
	<-stopped
	if got := count(t, b.metrics.closed.WithLabelValues(endStopping.String())); got != n {
		t.Errorf("%v are counted", got)
	}
}
