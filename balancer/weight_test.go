package balancer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// depth is the logarithm, to nine digits, never falls with a smaller hash, and is the
// same on every machine.
func TestDepth(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		x := rng.Uint64() >> rng.IntN(64)
		got := float64(depth(x)) / (1 << 32)
		want := 64 - math.Log2(float64(x)+1)
		if math.Abs(got-want) > 1e-9 {
			t.Fatalf("depth(%#x) = %.12f, want %.12f", x, got, want)
		}
		if least, most := about(x); least > depth(x) || most < depth(x) || most-least > 1<<32/170 {
			t.Fatalf("depth(%#x) = %#x is said to be from %#x to %#x", x, depth(x), least, most)
		}
		if y := x + rng.Uint64()>>rng.IntN(64); y > x && depth(y) > depth(x) {
			t.Fatalf("depth(%#x) = %d, depth(%#x) = %d", x, depth(x), y, depth(y))
		}
	}
	for x, want := range map[uint64]uint64{
		math.MaxUint64: 0, math.MaxUint64 >> 1: 1 << 32, 0: 64 << 32,
		0xc000000000000000: 0x6a3fe5c7, 0x123456789abcdef0: 0x3d053f6d3,
	} {
		if got := depth(x); got != want {
			t.Errorf("depth(%#x) = %#x, want %#x", x, got, want)
		}
	}
}

func weigh(cs []*comet, weights ...uint32) {
	for i, w := range weights {
		cs[i].share.Store(w)
	}
}

// Each comet has clients in proportion to its weight, and one of weight 0 has none.
func TestRendezvousWeights(t *testing.T) {
	cs := gossiping(5)
	weigh(cs, 1, 2, 3, 0, 10)
	count := map[string]int{}
	for _, name := range owners(cs) {
		count[name]++
	}
	for i, w := range []int{1, 2, 3, 0, 10} {
		even := float64(testClients) * float64(w) / 16
		if n := float64(count[cs[i].name]); math.Abs(n-even) > 5*math.Sqrt(even) {
			t.Errorf("%s of weight %d has %.0f clients, its share is %.0f", cs[i].name, w, n, even)
		}
	}
	weigh(cs, 0, 0, 0, 0, 0)
	if c := rendezvous(cs, 1); c != nil {
		t.Errorf("%s takes no new clients", c.name)
	}
}

// The choice with weights is part of the contract between balancers too.
func TestRendezvousWeightsStay(t *testing.T) {
	cs := gossiping(5)
	weigh(cs, 1, 2, 3, 4, 5)
	got := ""
	for i := range 24 {
		got += rendezvous(cs, testKey(i)).name[len("comet-"):]
	}
	if want := "214244333322412442443324"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A change of the list moves only the clients that must move: to a comet that comes or
// weighs more, from one that goes or weighs less, as many as its share says, and never
// one between two others.
func TestChangesMoveOnlyWhoMust(t *testing.T) {
	weights := []uint32{1, 2, 3, 4}
	total := func(ws []uint32) (sum float64) {
		for _, w := range ws {
			sum += float64(w)
		}
		return sum
	}
	for _, c := range []struct {
		name  string
		at    int    // the comet that changes
		after uint32 // its weight then
	}{
		{"goes", 2, 0}, {"weighs more", 1, 5}, {"weighs less", 3, 1}, {"much more", 0, 1000}, {"comes", 4, 6},
	} {
		before := append(append([]uint32(nil), weights...), 0)
		after := append([]uint32(nil), before...)
		after[c.at] = c.after
		cs := gossiping(5)
		weigh(cs, before...)
		was := owners(cs)
		weigh(cs, after...)
		moved, wins := 0, after[c.at] > before[c.at]
		for i, now := range owners(cs) {
			if now == was[i] {
				continue
			}
			moved++
			if wins && now != cs[c.at].name || !wins && was[i] != cs[c.at].name {
				t.Fatalf("%s: client %d moved from %s to %s", c.name, i, was[i], now)
			}
		}
		share := math.Abs(float64(after[c.at])/total(after) - float64(before[c.at])/total(before))
		must := share * testClients
		if math.Abs(float64(moved)-must) > 5*math.Sqrt(must) {
			t.Errorf("%s: %d of %d moved, %.0f must", c.name, moved, testClients, must)
		}
	}
}

// Two balancers with the same list in another order agree on every key, whatever the
// weights, tiers and states.
func FuzzRendezvousAgrees(f *testing.F) {
	f.Add(uint64(1), uint64(2), []byte{1, 2, 3, 4, 0, 200})
	f.Add(uint64(7), uint64(7), []byte{1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, key, order uint64, shape []byte) {
		var here []*comet
		for i, b := range shape[:min(len(shape), 40)] {
			c := testComet(fmt.Sprintf("c%d", i%37), "", Healthy) // a name may stand there twice
			c.share.Store(uint32(b&31) * uint32(b&31) * 60)
			c.tier.Store(uint32(b >> 7))
			if b&0x60 == 0x60 {
				c.state.Store(uint32(Down))
			}
			here = append(here, c)
		}
		there := append([]*comet(nil), here...)
		rand.New(rand.NewPCG(order, 0)).Shuffle(len(there), func(i, j int) { there[i], there[j] = there[j], there[i] })
		a, b := rendezvous(here, key), rendezvous(there, key)
		if a != b && (a == nil || b == nil || a.name != b.name) {
			t.Errorf("%v and %v", a, b)
		}
		for _, c := range here {
			if _, w := c.opening(); w > 0 && a == nil {
				t.Errorf("nobody, but %s is open", c.name)
			}
		}
	})
}

// The backups get new sessions only while no comet of a lower tier takes any.
func TestTiers(t *testing.T) {
	cs, o := gossiping(4), testOptions(1)
	cs[2].tier.Store(1)
	cs[3].tier.Store(1)
	takes := func(want ...int) {
		t.Helper()
		got := map[*comet]bool{}
		for i := range 200 {
			got[rendezvous(cs, testKey(i))] = true
			got[lessLoaded(cs, &o)] = true
		}
		if len(got) != len(want) {
			t.Errorf("%d comets take sessions, want %v", len(got), want)
		}
		for _, i := range want {
			if !got[cs[i]] {
				t.Errorf("comet %d takes none", i)
			}
		}
	}
	takes(0, 1)
	cs[0].state.Store(uint32(Down))
	takes(1)
	cs[1].share.Store(0)
	takes(2, 3)
	cs[0].state.Store(uint32(Healthy))
	takes(0)
}

// Bids that a quick look cannot tell apart are compared exactly, equal hashes by name,
// and no bid of a backup wins against a comet that is none.
func TestBids(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	cs := gossiping(2)
	close := 0
	for range 200_000 {
		b := bid{comet: cs[0], weight: 1 + rng.Uint64N(3), hash: rng.Uint64()}
		o := bid{comet: cs[1], weight: b.weight + 1, hash: rng.Uint64()}
		mine, theirs := b.weight*depth(o.hash), o.weight*depth(b.hash)
		if mine/theirs == 1 || theirs/max(mine, 1) == 1 {
			close++
		}
		if got := b.over(&o); got != (mine > theirs) {
			t.Fatalf("%+v over %+v: %v", b, o, got)
		}
	}
	if close < 1000 {
		t.Errorf("%d are close", close)
	}
	a, b := bid{comet: cs[0], weight: 1, hash: 7}, bid{comet: cs[1], weight: 1, hash: 7}
	if cs[0].name > cs[1].name {
		a, b = b, a
	}
	if !a.over(&b) || b.over(&a) {
		t.Error("equal hashes are not in the order of names")
	}
	for _, backup := range []int{0, 1} {
		cs := gossiping(2)
		cs[backup].tier.Store(1)
		for i := range 1000 {
			if c := rendezvous(cs, testKey(i)); c != cs[1-backup] {
				t.Fatal("a backup has clients beside a healthy comet")
			}
		}
	}
}
