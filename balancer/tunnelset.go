package balancer

import (
	"context"
	"sync"
	"time"
)

// ending is a tunnel as far as it can be ended. Neither method waits.
type ending interface {
	// shut ends it now: with a close frame, plainly within a frame.
	shut(why tunnelEnd)
	// ask ends it in order.
	ask(why tunnelEnd)
	// asked tells whether ask was called, and why.
	asked() tunnelEnd
}

// tunnelSet is the tunnels to one comet, or all of them.
type tunnelSet struct {
	mu sync.Mutex
	// Guarded by mu.
	set map[ending]struct{}
}

func newTunnelSet() *tunnelSet { return &tunnelSet{set: make(map[ending]struct{})} }

// add registers a tunnel until remove is called.
func (s *tunnelSet) add(t ending) {
	s.mu.Lock()
	s.set[t] = struct{}{}
	s.mu.Unlock()
}

func (s *tunnelSet) remove(t ending) {
	s.mu.Lock()
	delete(s.set, t)
	s.mu.Unlock()
}

// closeAll shuts every tunnel at once.
func (s *tunnelSet) closeAll(why tunnelEnd) {
	for _, t := range s.those(func(ending) bool { return true }) {
		t.shut(why)
	}
}

// closeStep is the pause between two looks at tunnels that are closed over a time.
const closeStep = 20 * time.Millisecond

// closeGrace is how long after its window closeOver waits for tunnels that take their
// time: for the answer of the comet, and for the client to take it.
const closeGrace = 2 * answerTime

// closeOver ends every tunnel in order, one after the other, evenly spread over nine
// tenths of the window. Those that come meanwhile are among them. What is left
// closeGrace after it is shut plainly.
//
// It waits until all have ended, and leaves the rest as it is when ctx ends. So clients
// come back at a rate that whoever takes them can bear: as many a second as there are
// tunnels, divided by the window.
func (s *tunnelSet) closeOver(ctx context.Context, why tunnelEnd, window time.Duration) {
	began := time.Now()
	tick := time.NewTicker(closeStep)
	defer tick.Stop()
	due := 0.0 // tunnels whose turn has come
	for last := began; ; {
		left := s.those(func(t ending) bool { return t.asked() == endNone })
		now := time.Now()
		if now.Sub(began) >= window+closeGrace {
			s.closeAll(why)
			return
		}
		due += share(len(left), now.Sub(last), began.Add(window-window/10).Sub(last))
		last = now
		for ; due >= 1 && len(left) > 0; due-- {
			left[0].ask(why)
			left = left[1:]
		}
		if s.len() == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// share is how many of n have their turn in the time passed, when all are to have it
// in the time that there is.
func share(n int, passed, there time.Duration) float64 {
	if there <= passed {
		return float64(n)
	}
	return float64(n) * float64(passed) / float64(there)
}

func (s *tunnelSet) those(which func(ending) bool) []ending {
	s.mu.Lock()
	defer s.mu.Unlock()
	some := make([]ending, 0, len(s.set))
	for t := range s.set {
		if which(t) {
			some = append(some, t)
		}
	}
	return some
}

func (s *tunnelSet) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.set)
}
