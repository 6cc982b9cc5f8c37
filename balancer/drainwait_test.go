package balancer

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// While no comet takes clients nothing is broken off, also when the time is over: polls
// are held on, once, and WebSockets stay. When one does they are moved at once.
func TestDrainWaitsForSomewhereToGo(t *testing.T) {
	for _, lanes := range []bool{true, false} {
		cfg := quick()
		cfg.DrainTime = 400 * time.Millisecond
		s := newServer(time.Minute, "s")
		left, other := newFakeComet(t, "a", s.ServeHTTP), newFakeComet(t, "b", newServer(time.Minute).ServeHTTP)
		b := lanesOr(t, lanes, cfg, left, other)
		cookie := b.cookieOf(left)
		conn := b.dial("/cometd", cookie)
		if err := echoes(conn, "hello"); err != nil {
			t.Fatal(err)
		}
		got := make(chan *answer, 1)
		go func() { got <- b.post(connect("1", "s"), cookie) }()
		b.until("it is held", func() bool { return b.comet(left).load.held.Load() == 1 })
		for _, c := range []*fakeComet{other, left} {
			if err := b.Drain("http://"+c.addr, true); err != nil {
				t.Fatal(err)
			}
		}
		b.until("the time is over, for several looks", func() bool {
			dr := b.comet(left).drain.Load()
			return dr != nil && dr.late(time.Now().Add(-5*drainLook))
		})
		if err := echoes(conn, "still"); err != nil {
			t.Errorf("the WebSocket: %v", err)
		}
		s.note(func() {
			if len(s.timeouts) != 1 {
				t.Errorf("the comet was asked %d times", len(s.timeouts))
			}
		})
		if err := b.Undrain("http://" + other.addr); err != nil {
			t.Fatal(err)
		}
		select {
		case a := <-got:
			if !movedReply(a.one(t)) {
				t.Errorf("%s", a.body)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the poll is held on though there is a comet for its client")
		}
		if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, 1012) {
			t.Errorf("the WebSocket was closed with %v", err)
		}
	}
}

// A comet that does not answer the poll that is to move its client has the time for an
// answer, and not that for which polls may be held.
func TestDrainOfASilentComet(t *testing.T) {
	cfg := quick()
	cfg.Limits.UpstreamTimeout, cfg.Limits.ConnectTimeout = 300*time.Millisecond, time.Hour
	left := newFakeComet(t, "a", nil)
	left.serve(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
		case <-left.dead:
		}
	})
	b := lanesOr(t, true, cfg, left, newFakeComet(t, "b", ok))
	b.drain(left)
	if r := b.post(connect("1", "s"), b.cookieOf(left)).one(t); !r.failed() {
		t.Errorf("%+v", r)
	}
	if n := count(t, b.metrics.answered.WithLabelValues(string(ReasonTimeout))); n != 1 {
		t.Errorf("%v were answered because the time was over", n)
	}
}

// A comet that drains and is told so again goes on as it does, and when that ends nobody
// drains any more.
func TestDrainBegunTwice(t *testing.T) {
	b, left, _, _ := fleetOfTwo(t, quick(), newServer(time.Minute))
	b.fleet.onDrain = nil // it is begun here
	if err := b.Drain("http://"+left.addr, false); err != nil {
		t.Fatal(err)
	}
	c := b.comet(left)
	begin := func() (ended chan struct{}) {
		ended = make(chan struct{})
		go func() {
			defer close(ended)
			b.runDrain(t.Context(), c)
		}()
		return ended
	}
	wait := func(ended chan struct{}) {
		t.Helper()
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Fatal("it does not end")
		}
	}
	running := begin()
	b.until("it drains", func() bool { return c.drain.Load() != nil })
	first := c.drain.Load()
	wait(begin())
	if c.drain.Load() != first || b.drains.active.Load() != 1 {
		t.Errorf("%d drain, as before: %v", b.drains.active.Load(), c.drain.Load() == first)
	}
	if err := b.Undrain("http://" + left.addr); err != nil {
		t.Fatal(err)
	}
	if wait(running); c.drain.Load() != nil || b.drains.active.Load() != 0 {
		t.Errorf("%d drain still", b.drains.active.Load())
	}
}

// A drain that ends while its comet begins to drain again goes on: who was to begin found
// it there still.
func TestDrainBegunAtAnEnd(t *testing.T) {
	for state, left := range map[State]bool{Draining: false, Healthy: true, Down: true} {
		c := testComet("a", testTag(1), state)
		dr := &drain{comet: c}
		c.drain.Store(dr)
		if got := dr.leave(); got != left || (c.drain.Load() == nil) != left {
			t.Errorf("%s: left %v, nobody drains it: %v", state, got, c.drain.Load() == nil)
		}
	}
}

// The rate goes by the sessions that the comet has, as it says, or as many as this
// balancer knows of if those are more.
func TestDrainRateOfManySessions(t *testing.T) {
	cfg := quick()
	cfg.DrainTime, cfg.DrainRate = 10*time.Second, 1
	says, has := newFakeComet(t, "a", ok), newFakeComet(t, "b", ok)
	b := lanesOr(t, true, cfg, says, has, newFakeComet(t, "c", ok))
	b.comet(says).load.gossiped.Store(9000)
	b.comet(has).load.busy.Add(4500)
	for c, want := range map[*fakeComet]float64{says: 1200, has: 600} {
		if err := b.Drain(c.url(), false); err != nil {
			t.Fatal(err)
		}
		b.until("it drains", func() bool { return b.comet(c).drain.Load() != nil })
		if got := float64(b.comet(c).drain.Load().limit.Limit()); got != want {
			t.Errorf("%s: %v a second, want %v", c.name, got, want)
		}
	}
}
