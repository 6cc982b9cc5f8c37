package balancer

import (
	"math/rand/v2"
	"testing"
)

const testClients = 10_000

// owners computes for every client, known by its address, who gets it.
func owners(cs []*comet) []string {
	out := make([]string, testClients)
	for i := range out {
		if c := rendezvous(cs, testKey(i)); c != nil {
			out[i] = c.name
		}
	}
	return out
}

// When a comet goes, its clients move and no other; when it is back, all is as it was.
func TestRendezvousMovesOnlyTheLost(t *testing.T) {
	cs := gossiping(5)
	before := owners(cs)
	for _, s := range []State{Down, Draining, Unknown} {
		cs[3].state.Store(uint32(s))
		moved, lost := 0, 0
		for i, now := range owners(cs) {
			if before[i] == cs[3].name {
				lost++
			}
			if now != before[i] {
				moved++
				if before[i] != cs[3].name {
					t.Fatalf("%s: client %d moved from %s to %s", s, i, before[i], now)
				}
			}
		}
		if moved != lost || lost == 0 {
			t.Errorf("%s: %d moved, %d lost", s, moved, lost)
		}
	}
	cs[3].state.Store(uint32(Healthy))
	for i, now := range owners(cs) {
		if now != before[i] {
			t.Fatalf("client %d did not come back", i)
		}
	}
}

// A new comet wins its share from all the others, and nobody else moves.
func TestRendezvousNewComet(t *testing.T) {
	cs := gossiping(5)
	before := owners(cs[:4])
	won, from := 0, map[string]int{}
	for i, now := range owners(cs) {
		switch {
		case now == cs[4].name:
			won++
			from[before[i]]++
		case now != before[i]:
			t.Fatalf("client %d moved from %s to %s", i, before[i], now)
		}
	}
	if even := testClients / 5; won < even*9/10 || won > even*11/10 {
		t.Errorf("won %d of %d", won, testClients)
	}
	if len(from) != 4 {
		t.Errorf("won from %v", from)
	}
}

// Balancers agree whatever order they know the comets in.
func TestRendezvousOrder(t *testing.T) {
	cs := gossiping(7)
	want := owners(cs)
	for seed := range uint64(5) {
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(cs), func(i, j int) { cs[i], cs[j] = cs[j], cs[i] })
		for i, got := range owners(cs) {
			if got != want[i] {
				t.Fatalf("client %d: %s and %s", i, got, want[i])
			}
		}
	}
}

func TestRendezvousEven(t *testing.T) {
	cs := gossiping(8)
	count := map[string]int{}
	for _, name := range owners(cs) {
		count[name]++
	}
	for _, c := range cs {
		if n, even := count[c.name], testClients/8; n < even*9/10 || n > even*11/10 {
			t.Errorf("%s has %d, even is %d", c.name, n, even)
		}
	}
	if rendezvous(nil, 1) != nil {
		t.Error("somebody of nobody")
	}
}

// The choice is part of the contract between balancers of different versions: these
// values must never change.
func TestRendezvousStays(t *testing.T) {
	cs := gossiping(5)
	for i, want := range []string{"comet-0", "comet-1", "comet-0", "comet-2", "comet-4"} {
		if got := rendezvous(cs, testKey(i)).name; got != want {
			t.Errorf("%s goes to %s, want %s", testIP(i), got, want)
		}
	}
}

func BenchmarkRendezvous(b *testing.B) {
	cs := gossiping(16)
	for b.Loop() {
		rendezvous(cs, testKey(1))
	}
}

func BenchmarkRendezvousWeighted(b *testing.B) {
	cs := gossiping(16)
	for i, c := range cs {
		c.share.Store(uint32(i + 1))
	}
	for b.Loop() {
		rendezvous(cs, testKey(1))
	}
}
