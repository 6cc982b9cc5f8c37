package balancer

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/sticky"
)

// Sessions that are placed one after the other end up in proportion to the weights,
// though one comet outweighs all others together.
func TestPlaceByWeight(t *testing.T) {
	cs := gossiping(4)
	weigh(cs, 1, 3, 12, 0)
	s, o := testSnapshot(cs...), testOptions(1)
	const sessions = 1600
	for range sessions {
		d := route(&request{handshake: true}, s, o)
		d.comet.load.placed.Add(1)
	}
	for i, w := range []float64{1, 3, 12, 0} {
		even := sessions * w / 16
		if n := float64(cs[i].load.sessions()); math.Abs(n-even) > even/10 {
			t.Errorf("comet %d of weight %v has %v sessions, its share is %v", i, w, n, even)
		}
	}
}

// What the comets gossip of their sessions is put in proportion to their weights.
func TestPlaceByGossipAndWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, z := at("a", "a", 1, cluster.Up), at("z", "z", 2, cluster.Up)
		a.Load, z.Load = 100, 299
		b, g := synced(t, a, z)
		b.comet("z:80").share.Store(3)
		to := func() string { return b.fleet.route(&request{handshake: true}).comet.name }
		if got := to(); got != "z" {
			t.Errorf("100 of weight 1 and 299 of weight 3: to %s", got)
		}
		z.Load = 310
		g.says(a, z)
		if got := to(); got != "a" {
			t.Errorf("100 of weight 1 and 310 of weight 3: to %s", got)
		}
	})
}

// A comet that comes back empty among full ones is not flooded: it gets more with
// time, and all that comes to it when the slow start is over. Cookies and addresses
// choose it at once.
func TestSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, z := at("a", "a", 1, cluster.Up), at("z", "z", 2, cluster.Up)
		a.Load = 1000
		b, _ := synced(t, a, z)
		c := b.comet("z:80")
		part := func() (n int) {
			const draws = 2000
			for range draws {
				if route(&request{handshake: true}, b.fleet.snapshot(), b.fleet.routing()).comet == c {
					n++
				}
			}
			return n * 100 / draws
		}
		if n := part(); n != 100 {
			t.Errorf("at the balancer's own start %d %%", n)
		}
		b.refuses("z:80")
		b.fleet.refused(c)
		if n := part(); n != 0 {
			t.Errorf("while it is down %d %%", n)
		}
		b.answers("z:80")
		b.until("z:80", Healthy)
		for _, want := range []struct {
			after    time.Duration
			min, max int
		}{{0, 0, 0}, {time.Second, 6, 14}, {4 * time.Second, 44, 56}, {4 * time.Second, 85, 95}, {time.Second, 100, 100}, {time.Hour, 100, 100}} {
			b.after(want.after)
			if n := part(); n < want.min || n > want.max {
				t.Errorf("%v later: %d %%", want.after, n)
			}
			if d := b.fleet.route(&request{handshake: true, cookie: sticky.NewCookie(c.nameTag)}); d.comet != c {
				t.Errorf("%v later: its cookie goes to %s", want.after, d.comet.name)
			}
		}
	})
}

// One that suffers from a failed check keeps what it gets; several that come together
// share.
func TestSlowStartOfSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := synced(t, at("a", "a", 1, cluster.Up))
		b.fleet.update(func() { f := b.fleet; f.transition(b.comet("a:80"), eventDoubt, causeCheck) })
		b.until("a:80", Healthy)
		if b.comet("a:80").fresh.Load() != 0 {
			t.Error("suspicion is no new beginning")
		}
		g.says(at("a", "a", 1, cluster.Left), at("y", "y", 2, cluster.Up), at("z", "z", 3, cluster.Up))
		b.until("y:80", Healthy)
		b.until("z:80", Healthy)
		got := map[*comet]int{}
		for range 1000 {
			got[b.fleet.route(&request{handshake: true}).comet]++
		}
		for c, n := range got {
			if n < 450 || n > 550 {
				t.Errorf("%s got %d of 1000", c.name, n)
			}
		}
	})
}
