package balancer

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
)

// byAddress is a balancer that goes by address alone, in front of a server to which all
// clients of the test belong, and another.
func byAddress(t *testing.T) (b *running, home *fakeComet, here, there *server) {
	t.Helper()
	cfg := quick()
	cfg.Keys = Keys{IP: true}
	here, there = newServer(time.Minute, "stays"), newServer(time.Minute, "moved")
	home, away := newFakeComet(t, "a", here.ServeHTTP), newFakeComet(t, "b", there.ServeHTTP)
	b = lanesOr(t, true, cfg, home, away)
	if b.post(publish("1", "stays")).one(t).failed() { // it is the other way round
		home.serve(there.ServeHTTP)
		away.serve(here.ServeHTTP)
		home = away
	}
	return b, home, here, there
}

// The poll of a client that was moved before uses up no turn of a drain.
func TestDrainTurnsByAddress(t *testing.T) {
	b, home, here, _ := byAddress(t)
	b.drain(home)
	dr := b.comet(home).drain.Load()
	dr.limit.SetLimit(0) // none comes
	dr.limit.SetBurst(1)
	poll := func(session string) reply {
		return b.post(strings.Replace(connect("1", session), `"id"`, `"advice":{"timeout":0},"id"`, 1)).one(t)
	}
	for range 5 {
		if r := poll("moved"); r.failed() {
			t.Fatalf("one that was moved: %+v", r)
		}
	}
	if dr.polled.Load() != 0 {
		t.Error("a client that was moved counts as one who is to be waited for")
	}
	if r := poll("stays"); !movedReply(r) {
		t.Errorf("its turn is there, and it is not moved: %+v", r)
	}
	if dr.polled.Load() == 0 {
		t.Error("one of its own clients does not")
	}
	here.note(func() { here.queues["late"] = nil })
	if r := poll("late"); r.failed() {
		t.Errorf("moved with no turn left: %+v", r)
	}
}

// No more turns are kept than may be had at once.
func TestDrainTurnsGivenBack(t *testing.T) {
	dr := &drain{limit: rate.NewLimiter(0, 2)}
	for range 2 {
		if !dr.turn() {
			t.Fatal("no turn")
		}
	}
	if dr.turn() {
		t.Error("one more than there are")
	}
	for range 5 {
		dr.giveBack()
	}
	for range 2 {
		if !dr.turn() {
			t.Error("one that was given back is lost")
		}
	}
	if dr.turn() {
		t.Error("more than the limit were kept")
	}
}

// A comet that compresses its answers is understood when it says that it does not know
// the session of a client that was moved; the other gets the request as it came.
func TestDrainByAddressOfCompressingComet(t *testing.T) {
	b, home, here, there := byAddress(t)
	here.note(func() { here.gzips = true })
	b.drain(home)
	b.comet(home).drain.Load().limit.SetBurst(0)
	for _, body := range []string{publish("1", "moved"), strings.Replace(connect("1", "moved"), `"id"`, `"advice":{"timeout":0},"id"`, 1)} {
		if r := b.post(body, "Accept-Encoding: gzip").one(t); r.failed() {
			t.Errorf("%s: %+v", body, r)
		}
	}
	there.note(func() {
		if there.encoded != 2 {
			t.Errorf("%d of 2 requests accept what their client does", there.encoded)
		}
	})
}

// Clients are looked for at a comet that drains until nobody is left there.
func TestEmptying(t *testing.T) {
	c := testComet("a", testTag(1), Draining)
	if c.emptying() {
		t.Error("with no drain")
	}
	dr := &drain{comet: c}
	c.drain.Store(dr)
	if !c.emptying() {
		t.Error("not while it drains")
	}
	if dr.done.Store(true); c.emptying() {
		t.Error("when all have gone")
	}
}

// A comet that is taken off the list keeps its weight and its rank: its clients are still
// looked for by them. One of the gossip that loses its place in the list loses both.
func TestUnlistedKeepsItsWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, "http://a weight=9 backup", "http://b")
		b.run()
		if a := b.comet("a:80"); a.share.Load() != 9 || a.tier.Load() == 0 {
			t.Errorf("at first: weight %d, tier %d", a.share.Load(), a.tier.Load())
		}
		b.reload(func(c *Config) { c.Comets = []string{"http://b weight=3"} })
		synctest.Wait()
		b.want("a:80", Draining)
		if a := b.comet("a:80"); a.share.Load() != 9 || a.tier.Load() == 0 {
			t.Errorf("weight %d, tier %d", a.share.Load(), a.tier.Load())
		}
		if n := b.comet("b:80").share.Load(); n != 3 {
			t.Errorf("the one that is listed has weight %d", n)
		}
	})
}
