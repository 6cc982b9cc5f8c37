package balancer

import (
	"testing"

	"github.com/halleycomet/halley/internal/sticky"
)

// New sessions go to the less loaded of two: the busiest of all gets none, and the
// rest even out.
func TestPlacePrefersLessLoaded(t *testing.T) {
	cs := gossiping(4)
	cs[1].load.heard(10_000)
	s, o := testSnapshot(cs...), testOptions(1)
	for range 400 {
		d := route(&request{handshake: true}, s, o)
		if d.comet == cs[1] {
			t.Fatal("the busiest of four was the less loaded of two")
		}
		d.comet.load.placed.Add(1)
	}
	for _, i := range []int{0, 2, 3} {
		if n := cs[i].load.sessions(); n < 110 || n > 160 {
			t.Errorf("comet %d has %d of 400, even is 133", i, n)
		}
	}
}

// Alike comets are drawn evenly, and those that take nobody never.
func TestPlaceDrawsAll(t *testing.T) {
	cs := gossiping(5)
	cs[2].state.Store(uint32(Draining))
	count := map[*comet]int{}
	o := testOptions(3)
	for range 4000 {
		count[lessLoaded(cs, &o)]++
	}
	for i, c := range cs {
		if n := count[c]; i == 2 && n != 0 || i != 2 && (n < 800 || n > 1200) {
			t.Errorf("comet %d was drawn %d times of 4000", i, n)
		}
	}
	if c := lessLoaded(cs[2:3], &o); c != nil {
		t.Errorf("%s takes no sessions", c.name)
	}
	if c := lessLoaded(cs[1:3], &o); c != cs[1] {
		t.Errorf("got %v", c)
	}
}

// One comet that does not gossip makes clientIds without tags, so that without
// cookies no session can be pinned.
func TestPinnableMixed(t *testing.T) {
	cs := append(gossiping(2), listedOnly(1)...)
	s := testSnapshot(cs...)
	o := &routeOptions{keys: Keys{ClientID: true, IP: true}}
	if pinnable(s, o) {
		t.Error("mixed, no cookies")
	}
	cs[2].state.Store(uint32(Down))
	if !pinnable(s, o) {
		t.Error("only ours take sessions")
	}
	if !pinnable(s, &routeOptions{keys: allKeys()}) || pinnable(s, &routeOptions{keys: Keys{IP: true}}) {
		t.Error("keys")
	}
	cs[2].state.Store(uint32(Healthy))
	o.learnt = func(string) (sticky.Tag, bool) { return "", false }
	if !pinnable(s, o) {
		t.Error("clientIds are learnt")
	}
	if o.keys.ClientID = false; pinnable(s, o) {
		t.Error("the key is off")
	}
}

func TestLoad(t *testing.T) {
	var l load
	is := func(want int64) {
		t.Helper()
		if got := l.sessions(); got != want {
			t.Errorf("%d sessions, want %d", got, want)
		}
	}
	l.placed.Add(8)
	is(8)
	l.heard(5) // it has said something new: what was placed is in it
	is(5)
	l.placed.Add(8)
	l.heard(5) // nothing new
	is(13)
	l.age()
	is(9)
	for range 4 {
		l.age()
	}
	is(5)
	for range 7 {
		l.begin()
	}
	is(7) // it has not said so yet, but they are there
	l.done()
	is(6)
	end := l.begin()
	end()
	is(6)
}

func BenchmarkRouteNewSession(b *testing.B) {
	s, o := testSnapshot(gossiping(16)...), testOptions(1)
	r := &request{handshake: true, ip: testIP(1)}
	b.ReportAllocs()
	for b.Loop() {
		route(r, s, o)
	}
}
