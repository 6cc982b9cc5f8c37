package balancer

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/cluster"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Ready only when each listed comet was checked once, the silent one too.
func TestReadyAfterFirstRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, "http://a", "http://b")
		if b.fleet.snapshot().ready {
			t.Error("ready before it runs")
		}
		b.silent("b:80")
		b.run()
		b.want("a:80", Healthy)
		if b.fleet.snapshot().ready {
			t.Error("ready while a first check is under way")
		}
		b.after(2 * time.Second)
		b.want("b:80", Down)
		if !b.fleet.snapshot().ready {
			t.Error("not ready after the first round")
		}
	})
}

// Ready only after the gossip is synced, however healthy the list is; a session whose
// comet the balancer has not heard of by then is not called dead.
func TestReadyAfterSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGossip()
		b := newBench(t, g, "http://a")
		b.run()
		g.says()
		b.after(time.Minute)
		b.want("a:80", Healthy)
		if d := b.owner(1); b.fleet.snapshot().ready || d.reason != ReasonNotReady {
			t.Errorf("not synced: %+v", d)
		}
		g.says(at("c", "c", 1, cluster.Up))
		close(g.synced)
		synctest.Wait()
		if !b.fleet.snapshot().ready {
			t.Error("not ready after the sync")
		}
		if d := b.owner(1); d.comet == nil || d.comet.name != "c" {
			t.Errorf("%+v", d)
		}
		if d := b.owner(2); d.comet == nil || d.reason != ReasonIP {
			t.Errorf("a tag of nobody known: %+v", d)
		}
	})
}

// A view that arrives with the sync counts before the balancer says that it is ready.
func TestReadyTakesTheSyncedView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGossip()
		b := newBench(t, g)
		b.silent("c:80")
		g.view = &cluster.View{Nodes: []cluster.Node{at("c", "c", 1, cluster.Up)}}
		close(g.synced)
		b.run()
		if b.fleet.snapshot().ready {
			t.Error("ready with a comet that was not checked")
		}
		b.after(2 * time.Second)
		b.want("c:80", Down)
		if d := b.owner(1); d.reason != ReasonOwnerDown {
			t.Errorf("%+v", d)
		}
	})
}

// Loads come with the gossip; placements count until then.
func TestLoadFromGossip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := at("a", "a", 1, cluster.Up)
		node.Load = 7
		b, g := synced(t, node)
		b.fleet.route(&request{handshake: true})
		if n := b.fleet.status()[0].Load; n != 8 {
			t.Errorf("load %d", n)
		}
		node.Load = 9
		g.says(node)
		if n := b.fleet.status()[0].Load; n != 9 {
			t.Errorf("load %d", n)
		}
		// Without a word of the comet's, placements are forgotten by and by.
		b.comet("a:80").load.placed.Add(100)
		b.after(20 * time.Second)
		if n := b.fleet.status()[0].Load; n != 9 {
			t.Errorf("load %d", n)
		}
	})
}

func TestStatusAndMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := synced(t, at("a", "a", 1, cluster.Up), at("b", "b", 2, cluster.Leaving))
		b.after(time.Second)
		s := b.fleet.status()
		if len(s) != 2 || s[0].Name != "a" || s[0].State != "healthy" || s[0].Reason != "answers" || s[0].Tag != string(testTag(1)) ||
			s[0].URL != "http://a/cometd" || !s[0].Gossips || s[0].Since.IsZero() || s[1].State != "draining" || s[1].Reason != "goodbye" {
			t.Errorf("%+v", s)
		}
		got := map[string]float64{}
		ch := make(chan prometheus.Metric, states)
		cometStates{b.fleet}.Collect(ch)
		close(ch)
		for m := range ch {
			var d dto.Metric
			if err := m.Write(&d); err != nil {
				t.Fatal(err)
			}
			got[d.Label[0].GetValue()] = d.Gauge.GetValue()
		}
		if len(got) != states-1 || got["healthy"] != 1 || got["draining"] != 1 || got["down"] != 0 {
			t.Errorf("%v", got)
		}
	})
}

func TestNewFleetNeedsComets(t *testing.T) {
	cfg := DefaultConfig()
	if _, err := newFleet(liveOf(t, cfg), nil, newMetrics(), nil); err == nil {
		t.Error("neither a list nor gossip, and no error")
	}
}

// Requests, refusals, views and checks at once: for the race detector. At the end
// everything is as the last word says.
func TestFleetConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := []cluster.Node{at("a", "a", 1, cluster.Up), at("b", "b", 2, cluster.Up), at("c", "c", 3, cluster.Up)}
		b, g := synced(t, up...)
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for n := range 300 {
					d := b.fleet.route(&request{handshake: n%2 == 0, ip: testIP(n)})
					if d.comet != nil {
						end := d.comet.load.begin()
						if n%50 == i {
							b.fleet.refused(d.comet)
						}
						b.fleet.answered(d.comet)
						b.fleet.herdInterval(d.comet)
						end()
					}
					b.fleet.status()
				}
			})
		}
		wg.Go(func() {
			for i := range 30 {
				views := slices.Clone(up)
				views[i%3].State = []cluster.State{cluster.Leaving, cluster.Failed, cluster.Left}[i/3%3]
				g.views <- &cluster.View{Nodes: views}
			}
		})
		wg.Wait()
		g.says(up...)
		b.after(10 * time.Second)
		for _, addr := range []string{"a:80", "b:80", "c:80"} {
			b.want(addr, Healthy)
		}
		if n := len(b.fleet.snapshot().comets); n != 3 {
			t.Errorf("%d comets", n)
		}
	})
}

// What was counted for a comet goes with it, unless its name lives on.
func TestMetricsForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, g := synced(t, at("a", "a", 1, cluster.Up), at("b", "b", 2, cluster.Up))
		names := func() map[string]bool {
			ch, names := make(chan prometheus.Metric, 100), map[string]bool{}
			b.fleet.metrics.checks.Collect(ch)
			close(ch)
			for m := range ch {
				var d dto.Metric
				if err := m.Write(&d); err != nil {
					t.Fatal(err)
				}
				names[d.Label[0].GetValue()] = true
			}
			return names
		}
		g.says(at("a", "a", 1, cluster.Left), at("a", "a2", 3, cluster.Up), at("b", "b", 2, cluster.Left))
		if n := names(); len(n) != 1 || !n["a"] {
			t.Errorf("%v", n)
		}
	})
}
