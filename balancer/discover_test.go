package balancer

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/sticky"
)

// The gossip gives a comet up. One that answers is kept; one that does not is down
// without waiting for a second failure; when it is back, the gossip says so.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := synced(t, at("a", "a", 1, cluster.Up), at("b", "b", 2, cluster.Up))
		n := b.asked("a:80")
		g.says(at("a", "a", 1, cluster.Failed), at("b", "b", 2, cluster.Up))
		if b.asked("a:80") != n+1 {
			t.Error("not checked at once")
		}
		b.after(time.Minute)
		b.want("a:80", Healthy)

		g.says(at("a", "a", 1, cluster.Up), at("b", "b", 2, cluster.Up))
		b.fails("a:80", errors.New("reset"))
		g.says(at("a", "a", 1, cluster.Failed), at("b", "b", 2, cluster.Up))
		b.want("a:80", Down)
		if why := b.comet("a:80").why; why != causeGivenUp {
			t.Errorf("reason %q", why)
		}
		if d := b.owner(1); d.owner == nil || d.reason != ReasonOwnerDown {
			t.Errorf("%+v", d)
		}
		n = b.asked("a:80")
		b.after(10 * time.Second)
		if n = b.asked("a:80") - n; n < 8 || n > 12 {
			t.Errorf("asked %d times in 10 s, though nobody expects it back", n)
		}
		b.answers("a:80")
		g.says(at("a", "a", 1, cluster.Up), at("b", "b", 2, cluster.Up))
		b.want("a:80", Healthy)
	})
}

// A comet says goodbye and leaves: first no new sessions, then it is gone, and its
// clients are told so. When it thinks better of it, it is as before.
func TestGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := synced(t, at("a", "a", 1, cluster.Up), at("b", "b", 2, cluster.Up))
		a := b.comet("a:80")
		g.says(at("a", "a", 1, cluster.Leaving), at("b", "b", 2, cluster.Up))
		b.want("a:80", Draining)
		for range 50 {
			if d := b.fleet.route(&request{handshake: true}); d.comet == a {
				t.Fatal("a new session on a comet that leaves")
			}
		}
		if d := b.owner(1); d.comet != a {
			t.Errorf("%+v", d)
		}
		b.refuses("a:80")
		b.fleet.refused(a)
		b.want("a:80", Down)
		b.answers("a:80")
		b.after(time.Second)
		b.want("a:80", Draining) // it answers again, and has not taken its goodbye back

		g.says(at("a", "a", 1, cluster.Up), at("b", "b", 2, cluster.Up))
		b.want("a:80", Healthy)

		g.says(at("a", "a", 1, cluster.Leaving), at("b", "b", 2, cluster.Up))
		downs := len(b.downs)
		g.says(at("a", "a", 1, cluster.Left), at("b", "b", 2, cluster.Up))
		if len(b.fleet.snapshot().comets) != 1 || !a.is(Gone) {
			t.Errorf("still there: %s", a.State())
		}
		if len(b.downs) != downs+1 || b.downs[downs] != a {
			t.Error("its tunnels were not closed")
		}
		if d := b.owner(1); d.owner != a || d.reason != ReasonOwnerDown {
			t.Errorf("%+v", d)
		}
		n := b.asked("a:80")
		b.after(time.Minute)
		if b.asked("a:80") != n {
			t.Error("checked though it is gone")
		}
		// It was taken for gone and was not.
		g.says(at("a", "a", 1, cluster.Up), at("b", "b", 2, cluster.Up))
		b.want("a:80", Healthy)
		if d := b.owner(1); d.comet != b.comet("a:80") {
			t.Errorf("%+v", d)
		}
	})
}

// The gossip forgets a comet altogether.
func TestUnlisted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := synced(t, at("a", "a", 1, cluster.Up))
		g.says()
		if d := b.owner(1); d.reason != ReasonOwnerDown || len(b.downs) != 1 {
			t.Errorf("%+v", d)
		}
	})
}

// A killed comet comes back at another address. The old incarnation gets no new
// sessions, is given up, and its clients are told.
func TestRestartElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := synced(t, at("a", "a1", 1, cluster.Up))
		b.silent("a1:80")
		g.says(at("a", "a1", 1, cluster.Up), at("a", "a2", 2, cluster.Up))
		b.want("a1:80", Draining)
		b.want("a2:80", Healthy)
		if d := b.fleet.route(&request{handshake: true, cookie: sticky.NewCookie(sticky.NameTag("a"))}); d.comet != b.comet("a2:80") {
			t.Errorf("handshake: %+v", d)
		}
		b.after(10 * time.Second)
		b.want("a1:80", Down)
		g.says(at("a", "a1", 1, cluster.Failed), at("a", "a2", 2, cluster.Up))
		if n := len(b.fleet.snapshot().comets); n != 1 {
			t.Errorf("%d comets", n)
		}
		if d := b.owner(1); d.owner == nil || d.owner.tag != testTag(1) {
			t.Errorf("%+v", d)
		}
		if d := b.owner(2); d.comet != b.comet("a2:80") {
			t.Errorf("%+v", d)
		}
	})
}

// A killed comet comes back at its address before the gossip noticed. If the balancer
// had noticed, what was connected since is the new one's and stays; if not, it is the
// old one's and is closed.
func TestRestartInPlace(t *testing.T) {
	for _, noticed := range []bool{true, false} {
		t.Run(fmt.Sprintf("noticed=%v", noticed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, g := synced(t, at("a", "a", 1, cluster.Up), at("b", "b", 3, cluster.Up))
				old := b.comet("a:80")
				if noticed {
					b.fleet.refused(old)
					b.after(time.Second)
					b.want("a:80", Healthy)
				}
				downs := len(b.downs)
				g.says(at("a", "a", 1, cluster.Failed), at("a", "a", 2, cluster.Up), at("b", "b", 3, cluster.Up))
				now := b.comet("a:80")
				if now == old || !now.is(Healthy) || !old.is(Gone) {
					t.Errorf("now %s, the old %s", now.State(), old.State())
				}
				if kept := len(b.downs) == downs && now.tunnels == old.tunnels && now.up == old.up; kept != noticed {
					t.Errorf("connections kept: %v", kept)
				}
				if d := b.owner(1); d.owner != old || d.reason != ReasonOwnerDown {
					t.Errorf("old session: %+v", d)
				}
				if d := b.owner(2); d.comet != now {
					t.Errorf("new session: %+v", d)
				}
				b.refuses("a:80")
				b.fleet.refused(old) // a request that was sent to the old one
				if now.is(Down) != noticed {
					t.Errorf("refused: %s", now.State())
				}
			})
		})
	}
}

// Another comet has the address of a dead one (containers do that): the check that it
// answers says nothing of the dead one.
func TestAddressTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := synced(t, at("a", "x", 1, cluster.Up))
		a := b.comet("x:80")
		g.says(at("a", "x", 1, cluster.Up), at("b", "x", 2, cluster.Up))
		if !a.is(Gone) || len(b.downs) != 1 || b.comet("x:80").name != "b" {
			t.Errorf("a is %s, at its address %s", a.State(), b.comet("x:80").name)
		}
		if d := b.owner(1); d.reason != ReasonOwnerDown {
			t.Errorf("%+v", d)
		}
	})
}

// A comet of the list turns out to gossip: one comet, under its gossip name; its
// clients notice nothing. When it leaves, the list still has the address.
func TestListedAndGossips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGossip()
		b := newBench(t, g, "http://a", "http://b")
		b.run()
		g.says()
		close(g.synced)
		synctest.Wait()
		old := b.comet("a:80")
		old.load.begin()
		n := b.asked("a:80")
		g.says(at("comet-a", "a", 1, cluster.Up))
		a := b.comet("a:80")
		if len(b.fleet.snapshot().comets) != 2 || a.name != "comet-a" || !a.gossips {
			t.Fatalf("%+v", b.fleet.status())
		}
		if !a.is(Healthy) || a.up != old.up || a.tunnels != old.tunnels || a.load != old.load || len(b.downs) != 0 {
			t.Error("its connections were not taken over")
		}
		if d := b.fleet.route(&request{cookie: sticky.NewCookie(old.nameTag)}); d.comet != a {
			t.Errorf("cookie of before: %+v", d)
		}
		b.refuses("a:80") // the check that follows at once
		b.fleet.refused(old)
		b.want("a:80", Down)
		b.answers("a:80")
		b.after(time.Second)
		b.want("a:80", Healthy)
		if b.asked("a:80") > n+4 {
			t.Error("both are checked")
		}

		b.refuses("a:80")
		g.says(at("comet-a", "a", 1, cluster.Left))
		again := b.comet("a:80")
		if again.name != "http://a:80" || again.gossips || !again.is(Down) {
			t.Errorf("%s is %s", again.name, again.State())
		}
		if d := b.owner(1); d.owner != a {
			t.Errorf("%+v", d)
		}
	})
}

// Nodes that are no comets, or make no sense, are passed over.
func TestGossipNonsense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		balancer := at("lb", "lb", 2, cluster.Up)
		balancer.Role = cluster.RoleBalancer
		noURL := at("c", "", 3, cluster.Up)
		noTag := at("d", "d", 4, cluster.Up)
		noTag.Tag = "short"
		b, _ := synced(t, at("a", "a", 1, cluster.Up), balancer, noURL, noTag)
		if s := b.fleet.status(); len(s) != 1 || s[0].Name != "a" {
			t.Errorf("%+v", s)
		}
	})
}

// The comets that are gone are remembered up to a bound, the dead that the balancer
// never saw alive too.
func TestGravesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := synced(t)
		const n = maxGraves + 10
		var dead []cluster.Node
		for i := range n {
			dead = append(dead, at(fmt.Sprintf("c%05d", i), "h", i, cluster.Left))
		}
		g.says(dead...)
		g.says(dead...)
		s := b.fleet.snapshot()
		if len(b.fleet.graves) != maxGraves || len(s.byTag) != maxGraves || len(s.comets) != 0 {
			t.Errorf("%d graves, %d tags", len(b.fleet.graves), len(s.byTag))
		}
		if d := b.owner(n - 1); d.reason != ReasonOwnerDown {
			t.Errorf("%+v", d)
		}
		if len(b.downs) != 0 {
			t.Error("connections that never were are closed")
		}
	})
}

// A comet goes down with many clients, and the gossip says later that it has left: the
// herd is that of the moment when it went down.
func TestHerdOfTheMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := synced(t, at("a", "a", 1, cluster.Up), at("b", "b", 2, cluster.Up))
		a := b.comet("a:80")
		for range 5000 {
			a.load.begin()
		}
		b.refuses("a:80")
		b.fleet.refused(a)
		b.after(time.Second)
		for range 5000 {
			a.load.done()
		}
		g.says(at("a", "a", 1, cluster.Left), at("b", "b", 2, cluster.Up))
		most := time.Duration(0)
		for range 200 {
			most = max(most, b.fleet.herdInterval(b.owner(1).owner))
		}
		// 10 s at 500 a second, of which one is over.
		if most <= 5*time.Second || most > 9*time.Second {
			t.Errorf("spread over %v", most)
		}
	})
}
