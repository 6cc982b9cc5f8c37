package tunnel

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// counted is a tunnel that notes how it was ended.
type counted struct {
	set      *Set
	midFrame bool

	wish   atomic.Uint32
	askAt  time.Time
	shutAt time.Time
	why    End
}

func (c *counted) Ask(why End) {
	c.wish.Store(uint32(why))
	c.askAt, c.why = time.Now(), why
	if !c.midFrame {
		c.set.Remove(c)
	}
}

func (c *counted) Shut(why End) {
	c.shutAt, c.why = time.Now(), why
	c.set.Remove(c)
}

func (c *counted) Asked() End { return End(c.wish.Load()) }

func fill(s *Set, n int) []*counted {
	all := make([]*counted, n)
	for i := range all {
		all[i] = &counted{set: s}
		s.Add(all[i])
	}
	return all
}

// The ends of many tunnels are spread evenly over the window, whatever their number.
func TestCloseOverIsEven(t *testing.T) {
	for _, n := range []int{1, 3, 100, 9000} {
		synctest.Test(t, func(t *testing.T) {
			const window = 10 * time.Second
			s := NewSet()
			all := fill(s, n)
			began := time.Now()
			s.CloseOver(t.Context(), Draining, window)
			if took := time.Since(began); took > window || n >= 100 && took < window*8/10 {
				t.Errorf("%d tunnels took %v", n, took)
			}
			var at []time.Duration
			for _, c := range all {
				if c.why != Draining || c.askAt.IsZero() || !c.shutAt.IsZero() {
					t.Fatalf("ended by %v, asked at %v, shut at %v", c.why, c.askAt, c.shutAt)
				}
				at = append(at, c.askAt.Sub(began))
			}
			// In no second are there more than a tenth of them and a little.
			for i, from := range slices.Sorted(slices.Values(at)) {
				n := 0
				for _, d := range at {
					if d >= from && d < from+window/10 {
						n++
					}
				}
				if n > len(at)/10+len(at)/50+2 {
					t.Fatalf("from number %d on %d of %d end within a tenth of the window", i, n, len(at))
				}
				if len(at) > 1000 && i > 0 {
					break
				}
			}
		})
	}
}

// Those that come meanwhile have their turn too, and those that take their time have
// some more than the window.
func TestCloseOverLatecomersAndFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window = 10 * time.Second
		s := NewSet()
		all := fill(s, 20)
		all[7].midFrame = true
		began := time.Now()
		var late *counted
		var wg sync.WaitGroup
		wg.Go(func() {
			<-time.After(5 * time.Second)
			late = fill(s, 1)[0]
		})
		s.CloseOver(t.Context(), Stopping, window)
		wg.Wait()
		if took := time.Since(began); took != window+closeGrace {
			t.Errorf("took %v", took)
		}
		if late.askAt.IsZero() || late.askAt.Sub(began) > window*9/10+closeStep {
			t.Errorf("the latecomer was asked at %v", late.askAt)
		}
		if c := all[7]; c.askAt.IsZero() || c.shutAt.Sub(began) != window+closeGrace || c.why != Stopping {
			t.Errorf("within a frame: asked at %v, shut at %v by %v", c.askAt, c.shutAt, c.why)
		}
		if s.Len() != 0 {
			t.Errorf("%d are left", s.Len())
		}
	})
}

// Without a window all end at once; when ctx ends the rest goes on.
func TestCloseOverBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSet()
		fill(s, 100)
		began := time.Now()
		s.CloseOver(t.Context(), Stopping, 0)
		if s.Len() != 0 || time.Since(began) != 0 {
			t.Errorf("%d are left after %v", s.Len(), time.Since(began))
		}
		fill(s, 100)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.CloseOver(ctx, Stopping, 10*time.Second) })
		<-time.After(5 * time.Second)
		cancel()
		wg.Wait()
		if n := s.Len(); n < 40 || n > 60 {
			t.Errorf("%d are left after half of the window", n)
		}
	})
}
