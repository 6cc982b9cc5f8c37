package balancer

import (
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/tunnel"
	"github.com/valyala/fasthttp"
	"golang.org/x/time/rate"
)

func TestDrainRates(t *testing.T) {
	for _, c := range []struct {
		configured, handshakes int
		sessions               int64
		want                   float64
	}{
		{0, 20, 10, 20},      // as handshakes are admitted
		{50, 20, 10, 50},     // as configured
		{50, 20, 7500, 1000}, // as it takes: 7500 in three quarters of 10 s
	} {
		cfg := DefaultConfig()
		cfg.DrainTime, cfg.DrainRate, cfg.HandshakeRate = 10*time.Second, c.configured, c.handshakes
		if got := drainRate(&cfg, c.sessions); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
		// In a moment no more than what comes in a twentieth of a second.
		if got := newDrain(nil, &cfg, c.sessions).limit; float64(got.Limit()) != c.want || got.Burst() != 1+int(c.want)/20 {
			t.Errorf("%+v: %v a second, %d at once", c, got.Limit(), got.Burst())
		}
	}
}

// Polls are broken off a little before the deadline, and a drain is done when nobody has
// shown himself for a while.
func TestDrainTimes(t *testing.T) {
	c := testComet("a", testTag(1), Healthy)
	if c.load == nil {
		c.load = &load{}
	}
	if c.tunnels == nil {
		c.tunnels = tunnel.NewSet()
	}
	began := time.Unix(1000, 0)
	dr := &drain{comet: c, began: began, deadline: began.Add(time.Minute), limit: rate.NewLimiter(1, 1)}
	for at, late := range map[time.Duration]bool{57 * time.Second: false, 58 * time.Second: true, time.Hour: true} {
		if dr.late(began.Add(at)) != late {
			t.Errorf("late after %v: %v", at, !late)
		}
	}
	short := &drain{comet: c, began: began, deadline: began.Add(4 * time.Second)}
	if short.late(began.Add(2900*time.Millisecond)) || !short.late(began.Add(3*time.Second)) {
		t.Error("a quarter of a short drain is for the rest")
	}
	for _, q := range []struct {
		at, polled time.Duration // after the beginning
		held       int64
		quiet      bool
	}{
		{time.Second, -time.Hour, 0, false}, // who was there may not have come yet
		{3 * time.Second, -time.Hour, 0, true},
		{3 * time.Second, 2 * time.Second, 0, false},
		{5 * time.Second, 2 * time.Second, 0, true},
		{5 * time.Second, 2 * time.Second, 1, false},
	} {
		c.load.held.Store(q.held)
		dr.polled.Store(began.Add(q.polled).UnixNano())
		if got := dr.quiet(began.Add(q.at)); got != q.quiet {
			t.Errorf("%+v: %v", q, got)
		}
	}
	c.load.held.Store(0)
	c.tunnels.Add(new(tunnel.Tunnel))
	if dr.quiet(began.Add(time.Hour)) {
		t.Error("quiet with a WebSocket")
	}
	// 20 tunnels, one a second.
	for at, want := range map[time.Duration]time.Duration{0: 20 * time.Second, 50 * time.Second: 10 * time.Second, time.Hour: 2 * drainLook} {
		if got := dr.window(20, began.Add(at)); got != want {
			t.Errorf("after %v they are closed over %v, not %v", at, got, want)
		}
	}
}

// What was changed of a poll to move its client is taken back for another comet.
func TestAsItCame(t *testing.T) {
	text := connect("1", "s")
	for _, method := range []string{"GET", "POST"} {
		messages, err := bayeux.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		rq := &exchange{ctx: &fasthttp.RequestCtx{}, messages: messages}
		rq.from.header = &rq.ctx.Request.Header
		rq.from.header.SetMethod(method)
		rq.from.header.SetRequestURI("/cometd?message=" + text)
		rq.out.body, rq.from.body, rq.out.wait = []byte(text), int64(len(text)), time.Hour
		rq.farewell = &farewell{drain: &drain{limit: rate.NewLimiter(1, 1)}}
		rq.hurry(rq.connect(), time.Second)
		rq.hurry(rq.connect(), 0)
		rq.out.wait, rq.from.plain = time.Second, true
		if string(rq.out.body) == text && rq.from.target == nil || rq.connect().Advice == "" {
			t.Errorf("%s: nothing was changed", method)
		}
		rq.asItCame()
		if string(rq.out.body) != text || rq.from.body != int64(len(text)) || rq.from.target != nil || rq.out.wait != time.Hour ||
			rq.from.plain || rq.farewell != nil || rq.connect().Advice != "" {
			t.Errorf("%s: %s, %s, %+v", method, rq.out.body, rq.from.target, rq)
		}
	}
}

// A comet that leaves by itself has no drain here; all others that are to be left do.
func TestDrainsThatAreBegun(t *testing.T) {
	for why, want := range map[cause]int{causeGoodbye: 0, causeSuperseded: 0, causeAdmin: 1, causeUnlisted: 1, causeDenied: 1} {
		ds := newDrains()
		ds.begin(&comet{}, why)
		if got := len(ds.take()); got != want {
			t.Errorf("%q: %d", why, got)
		}
	}
}

// The sessions of those who were moved end when it is their time, and not sooner; how
// many wait for that is bounded.
func TestPartings(t *testing.T) {
	var p partings
	now := time.Unix(1000, 0)
	for i := range maxPartings {
		if !p.add(parting{due: now.Add(time.Duration(i) * time.Second)}) {
			t.Fatalf("the %dth is too many", i)
		}
	}
	if p.add(parting{}) {
		t.Error("there is no bound")
	}
	if _, ok := p.due(now.Add(-time.Nanosecond)); ok {
		t.Error("before its time")
	}
	if _, ok := p.due(now); !ok {
		t.Error("not at its time")
	}
	if _, ok := p.due(now); ok {
		t.Error("the next one before its time")
	}
}

// By address, a client is looked for where it was, in proportion to the weights.
func TestFormerlyByWeight(t *testing.T) {
	a, other := newFakeComet(t, "a", ok), newFakeComet(t, "b", ok)
	cfg := quick()
	cfg.Comets = []string{a.url() + " weight=9", other.url()}
	b := run(t, cfg, nil)
	c, was := b.comet(a), map[int]bool{}
	for i := range 300 {
		was[i] = rendezvous(b.fleet.snapshot().comets, testKey(i)) == c
	}
	b.drain(a)
	for i := range 300 {
		rq := &exchange{conf: b.inForce()}
		rq.ip = testIP(i)
		d, found := b.formerly(rq, decision{reason: ReasonIP})
		if found != was[i] || found && d.comet != c {
			t.Fatalf("client %d was there: %v, is looked for there: %v", i, was[i], found)
		}
	}
}

// While a comet that died has its herd spread, those that are moved are among it.
func TestMoveInterval(t *testing.T) {
	a, other := newFakeComet(t, "a", ok), newFakeComet(t, "b", ok)
	cfg := quick()
	cfg.HandshakeRate = 10
	b := listing(t, cfg, a, other)
	if d := b.moveInterval(); d != 0 {
		t.Errorf("with nobody down: %v", d)
	}
	c := b.comet(a)
	a.kill()
	b.fleet.refused(c)
	c.lost.Store(10_000)
	longest := time.Duration(0)
	for range 100 {
		longest = max(longest, b.moveInterval())
	}
	if longest < 10*time.Second {
		t.Errorf("at most %v", longest)
	}
}
