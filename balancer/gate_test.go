package balancer

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

func testGate(l CometLimits) *gate {
	limits := &Limits{Comet: l}
	return newGate(func() *Limits { return limits })
}

// Each limit bounds what it names, and nothing else; what leaves makes room.
func TestGateLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits CometLimits
		room   [uses]int // requests, polls, tunnels that find room one after the other
	}{
		{"none", CometLimits{}, [uses]int{9, 9, 9}},
		{"connections", CometLimits{MaxConns: 4}, [uses]int{4, 0, 0}},
		{"held", CometLimits{MaxHeld: 2}, [uses]int{9, 2, 9}},
		{"waiting", CometLimits{MaxWaiting: 3}, [uses]int{3, 9, 9}},
		{"all", CometLimits{MaxConns: 6, MaxHeld: 2, MaxWaiting: 3}, [uses]int{3, 2, 1}},
	} {
		g := testGate(c.limits)
		var slots []slot
		for u, want := range c.room {
			n := 0
			for range 9 {
				if s, ok := g.enter(use(u)); ok {
					slots = append(slots, s)
					n++
				}
			}
			if n != want {
				t.Errorf("%s: %d times %v, want %d", c.name, n, use(u), want)
			}
		}
		for _, s := range slots {
			s.leave()
		}
		if n := g.conns.Load(); n != 0 || g.inUse[usePoll].Load() != 0 || g.inUse[useRequest].Load() != 0 {
			t.Errorf("%s: %d are left", c.name, n)
		}
	}
}

// Who queues is served in order, each use in its own; nobody goes before them.
func TestGateQueue(t *testing.T) {
	g := testGate(CometLimits{MaxHeld: 1, MaxWaiting: 1, MaxQueue: 4})
	poll, _ := g.enter(usePoll)
	request, _ := g.enter(useRequest)
	var turns []*turn
	for _, u := range []use{usePoll, useRequest, usePoll, useRequest} {
		turn, ok := g.queue(u)
		if !ok {
			t.Fatal("no place in the queue")
		}
		turns = append(turns, turn)
	}
	if _, ok := g.queue(usePoll); ok {
		t.Error("a fifth place")
	}
	want := func(ready ...bool) {
		t.Helper()
		for i, is := range ready {
			select {
			case <-turns[i].ready:
				if !is || !turns[i].granted {
					t.Errorf("turn %d is over, granted %v", i, turns[i].granted)
				}
			default:
				if is {
					t.Errorf("turn %d still waits", i)
				}
			}
		}
	}
	want(false, false, false, false)
	request.leave() // no poll may have it
	want(false, true, false, false)
	if _, ok := g.enter(useRequest); ok {
		t.Error("somebody went before those who queue")
	}
	poll.leave()
	want(true, true, false, false)
	second, granted := g.end(turns[0])
	if !granted {
		t.Fatal("turn 0 has no slot")
	}
	if _, granted := g.end(turns[2]); granted { // given up
		t.Error("turn 2 has a slot")
	}
	second.leave()
	if s, ok := g.enter(usePoll); !ok {
		t.Error("nobody queues any more, and there is room")
	} else {
		s.leave()
	}
	g.flush()
	<-turns[3].ready
	if _, granted := g.end(turns[3]); granted || g.waiters.Load() != 0 {
		t.Error("turn 3 has a slot of a comet that is down")
	}
}

// A comet that was full has room again only when it is a tenth below its limits.
func TestGateRoomy(t *testing.T) {
	g := testGate(CometLimits{MaxConns: 10})
	var slots []slot
	for range 10 {
		s, _ := g.enter(useTunnel)
		slots = append(slots, s)
	}
	for i, want := range []bool{false, true, true} {
		slots[i].leave()
		if g.roomy() != want {
			t.Errorf("%d left: %v", i+1, g.roomy())
		}
	}
	if one := testGate(CometLimits{MaxHeld: 1}); !one.roomy() {
		t.Error("nobody is there, and there is no room")
	}
}

// Whatever comes and goes at once: never more than may be, nobody waits while there is
// room, and nothing is left over.
func TestGateConcurrently(t *testing.T) {
	limits := CometLimits{MaxConns: 5, MaxHeld: 3, MaxWaiting: 3, MaxQueue: 1000}
	g := testGate(limits)
	var now, most atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 2000 {
				u := use(rand.IntN(uses))
				s, ok := g.enter(u)
				if !ok {
					turn, queued := g.queue(u)
					if !queued {
						t.Error("the queue is full")
						return
					}
					if rand.IntN(4) > 0 {
						<-turn.ready // for ever, if a wake-up were lost
					}
					if s, ok = g.end(turn); !ok {
						continue
					}
				}
				n := now.Add(1)
				for have := most.Load(); n > have && !most.CompareAndSwap(have, n); have = most.Load() {
				}
				now.Add(-1)
				s.leave()
			}
		})
	}
	wg.Wait()
	if most.Load() > int64(limits.MaxConns) || g.conns.Load() != 0 || g.waiters.Load() != 0 {
		t.Errorf("at most %d at once; %d in use and %d waiting at the end", most.Load(), g.conns.Load(), g.waiters.Load())
	}
	for u := range g.inUse {
		if g.inUse[u].Load() != 0 || g.queued[u].Load() != 0 || g.queues[u].Len() != 0 {
			t.Errorf("%v: %d in use, %d queued", use(u), g.inUse[u].Load(), g.queued[u].Load())
		}
	}
}

func BenchmarkGate(b *testing.B) {
	for name, l := range map[string]CometLimits{"unlimited": {}, "limited": {MaxConns: 1000, MaxWaiting: 1000}} {
		b.Run(name, func(b *testing.B) {
			g := testGate(l)
			b.ReportAllocs()
			for b.Loop() {
				s, _ := g.enter(useRequest)
				s.leave()
			}
		})
	}
}

// Where one limit is that of all uses, who came first goes first, whatever for. When a
// limit grows, those in the queue have the room, not who comes then.
func TestGateOrder(t *testing.T) {
	for _, order := range [][]use{{usePoll, useRequest}, {useRequest, usePoll}} {
		g := testGate(CometLimits{MaxConns: 1, MaxQueue: 4})
		tunnel, _ := g.enter(useTunnel)
		first, _ := g.queue(order[0])
		second, _ := g.queue(order[1])
		tunnel.leave()
		if !first.granted || second.granted {
			t.Errorf("%v: granted %v, %v", order, first.granted, second.granted)
		}
	}
	limits := &Limits{Comet: CometLimits{MaxHeld: 1, MaxQueue: 4}}
	g := newGate(func() *Limits { return limits })
	g.enter(usePoll)
	waits, _ := g.queue(usePoll)
	limits = &Limits{Comet: CometLimits{MaxHeld: 2, MaxQueue: 4}}
	if _, ok := g.enter(usePoll); ok || !waits.granted {
		t.Errorf("who came entered: %v; who waited did: %v", ok, waits.granted)
	}
}
