package cluster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatchHasTheLatest(t *testing.T) {
	h := newHub()
	ctx, cancel := context.WithCancel(context.Background())
	slow := h.watch(ctx)
	if v := <-slow; len(v.Nodes) != 0 {
		t.Errorf("before anything: %v", v)
	}
	var last *View
	for range 1000 { // never blocks, though nobody reads
		last = &View{}
		h.publish(last)
	}
	if v := <-slow; v != last {
		t.Error("not the latest")
	}
	select {
	case v := <-slow:
		t.Errorf("and one more: %v", v)
	default:
	}
	if late := <-h.watch(ctx); late != last {
		t.Error("a new watcher does not begin with the current view")
	}
	cancel()
	for range slow { // closed by ctx
	}
	h.publish(&View{})
	h.close()
}

func TestHubCloseEndsTheWatchers(t *testing.T) {
	h := newHub()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ch := h.watch(ctx)
	last := &View{}
	h.publish(last)
	h.close()
	if v, ok := <-ch; !ok || v != last {
		t.Error("the last view was lost")
	}
	if _, ok := <-ch; ok {
		t.Error("not closed")
	}
}

func TestAnnounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSelf(tableNode("a", "1", 1))
		ctx, cancel := context.WithCancel(t.Context())
		type told struct {
			at time.Duration
			saying
		}
		var all []told
		began := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.announce(ctx, time.Second, func() {
				n, err := decodeMeta(s.meta())
				if err != nil {
					t.Error(err)
				}
				all = append(all, told{time.Since(began), saying{n.State, n.Load}})
			})
		}()
		load := func(n int) { s.set(func(s *saying) { s.load = n }) }
		for i := range 40 { // 2 seconds of steady change
			load(i + 1)
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond)
		s.set(func(s *saying) { s.state = Leaving })
		synctest.Wait()
		load(40) // no change
		time.Sleep(5 * time.Second)
		load(41)
		load(40) // taken back before it was told
		time.Sleep(5 * time.Second)
		cancel()
		<-done

		want := []told{
			{0, saying{Up, 1}},
			{time.Second, saying{Up, 20}},
			{2 * time.Second, saying{Up, 40}},
			{2100 * time.Millisecond, saying{Leaving, 40}},
		}
		if len(all) != len(want) {
			t.Fatalf("told %v\nwant %v", all, want)
		}
		for i, w := range want {
			got := all[i]
			// The change and the timer of one instant come in any order.
			if got.at != w.at || got.state != w.state || got.load < w.load || got.load > w.load+1 {
				t.Errorf("told %v, want %v", got, w)
			}
		}
	})
}
