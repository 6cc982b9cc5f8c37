package balancer

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/cluster"
)

// The admin has a comet left: no new sessions, its own stay; also when it restarts,
// and until the admin takes it back.
func TestDrainByAdmin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := synced(t, at("a", "a", 1, cluster.Up), at("b", "b", 2, cluster.Up))
		var told []departing
		b.fleet.onDrain = func(c *comet, why cause) { told = append(told, departing{c, why}) }
		a := b.comet("a:80")
		if err := b.fleet.drain("a"); err != nil {
			t.Fatal(err)
		}
		b.want("a:80", Draining)
		if len(told) != 1 || told[0] != (departing{a, causeAdmin}) || len(b.downs) != 0 {
			t.Errorf("told of %+v, closed %v", told, b.downs)
		}
		for n := range 50 {
			if d := b.fleet.route(&request{handshake: true, ip: testIP(n)}); d.comet == a {
				t.Fatal("a new session on a comet that drains")
			}
		}
		if d := b.owner(1); d.comet != a {
			t.Errorf("its session: %+v", d)
		}
		if err := b.fleet.drain("a"); err != nil || len(told) != 1 {
			t.Errorf("again: %v, told %d times", err, len(told))
		}

		// It goes down and comes back: it drains still, and so does its next incarnation.
		b.refuses("a:80")
		b.fleet.refused(a)
		b.want("a:80", Down)
		for i, want := range []string{string(causeAdmin), ""} {
			if got := strings.Join(b.fleet.status()[i].Drains, " "); got != want {
				t.Errorf("the status of comet %d says that it is to be left for %q, not %q", i, got, want)
			}
		}
		b.answers("a:80")
		b.after(time.Second)
		b.want("a:80", Draining)
		if len(told) != 2 {
			t.Errorf("told %d times", len(told))
		}
		g.says(at("a", "a2", 3, cluster.Up), at("b", "b", 2, cluster.Up))
		b.want("a2:80", Draining)

		if err := b.fleet.undrain("a"); err != nil {
			t.Fatal(err)
		}
		b.want("a2:80", Healthy)
		if got := b.fleet.status()[0].Drains; got != nil {
			t.Errorf("undrained, the status says %v", got)
		}
		if why := b.comet("a2:80").why; why != causeUndrained {
			t.Errorf("reason %q", why)
		}
		g.says(at("a", "a3", 4, cluster.Up), at("b", "b", 2, cluster.Up))
		b.want("a3:80", Healthy)
	})
}

// Each reason to leave a comet stands for itself.
func TestDrainForTwoReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := synced(t, at("a", "a", 1, cluster.Up), at("b", "b", 2, cluster.Up))
		if err := b.fleet.drain("a"); err != nil {
			t.Fatal(err)
		}
		g.says(at("a", "a", 1, cluster.Leaving), at("b", "b", 2, cluster.Up))
		err := b.fleet.undrain("a")
		if err == nil || !strings.Contains(err.Error(), string(causeGoodbye)) {
			t.Errorf("the comet leaves all the same: %v", err)
		}
		b.want("a:80", Draining)
		g.says(at("a", "a", 1, cluster.Up), at("b", "b", 2, cluster.Up))
		b.want("a:80", Healthy)
		if why := b.comet("a:80").why; why != causeBack {
			t.Errorf("reason %q", why)
		}
		// What was drained and is gone can be undrained, once.
		if err := b.fleet.drain("a"); err != nil {
			t.Fatal(err)
		}
		g.says(at("b", "b", 2, cluster.Up))
		if err := b.fleet.undrain("a"); err != nil {
			t.Errorf("one that is gone: %v", err)
		}
		if err := b.fleet.undrain("a"); err == nil {
			t.Error("one that nobody knows any more was undrained twice")
		}
		for _, err := range []error{b.fleet.drain("c"), b.fleet.undrain("c")} {
			if err == nil || !strings.Contains(err.Error(), `"c"`) {
				t.Errorf("nobody's name: %v", err)
			}
		}
	})
}

// A comet of the list that the admin drains turns out to gossip: it is the same one,
// and drains under its new name.
func TestDrainInherited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGossip()
		b := newBench(t, g, "http://a", "http://b")
		b.run()
		g.says()
		close(g.synced)
		synctest.Wait()
		if err := b.fleet.drain("http://a:80"); err != nil {
			t.Fatal(err)
		}
		g.says(at("comet-a", "a", 1, cluster.Up))
		b.want("a:80", Draining)
		if err := b.fleet.undrain("comet-a"); err != nil {
			t.Fatal(err)
		}
		b.want("a:80", Healthy)
	})
}

// New sessions go to those under suspicion while nobody is healthy, and to those at
// their limits when there is nobody else.
func TestOpenness(t *testing.T) {
	cs := gossiping(4)
	set := func(states ...State) {
		for i, s := range states {
			cs[i].state.Store(uint32(s))
		}
	}
	for _, c := range []struct {
		states []State
		want   string // the comets that get new sessions
	}{
		{[]State{Healthy, Suspect, Full, Healthy}, "03"},
		{[]State{Suspect, Full, Suspect, Draining}, "02"},
		{[]State{Full, Draining, Down, Full}, "03"},
		{[]State{Down, Suspect, Full, Full}, "1"},
		{[]State{Draining, Down, Unknown, Down}, ""},
	} {
		set(c.states...)
		s := &snapshot{comets: cs}
		if n := s.takers(); n != len(c.want) {
			t.Errorf("%v: %d takers", c.states, n)
		}
		byHash, byLoad := map[*comet]bool{}, map[*comet]bool{}
		for n := range 200 {
			byHash[rendezvous(cs, hashString(string(rune(n))))] = true
			byLoad[lessLoaded(cs, &routeOptions{choose: func(most int) int { return n % most }})] = true
		}
		for _, got := range []map[*comet]bool{byHash, byLoad} {
			delete(got, nil)
			if len(got) != len(c.want) {
				t.Errorf("%v: %d comets were chosen", c.states, len(got))
			}
			for _, r := range c.want {
				if !got[cs[r-'0']] {
					t.Errorf("%v: comet %c was never chosen", c.states, r)
				}
			}
		}
	}
}
