package tunnel

import (
	"context"
	"sync"
	"time"
)

// Ending is a tunnel as far as it can be ended. None of the methods waits.
type Ending interface {
	// Shut ends it now: with a close frame, plainly within a frame.
	Shut(why End)
	// Ask ends it in order.
	Ask(why End)
	// Asked tells whether Ask was called, and why.
	Asked() End
}

// Set is the tunnels to one comet, or all of them.
type Set struct {
	mu sync.Mutex
	// Guarded by mu.
	set map[Ending]struct{}
}

// NewSet is a set with nothing in it.
func NewSet() *Set { return &Set{set: make(map[Ending]struct{})} }

// Add registers a tunnel until Remove is called.
func (s *Set) Add(t Ending) {
	s.mu.Lock()
	s.set[t] = struct{}{}
	s.mu.Unlock()
}

// Remove is called when a tunnel has ended.
func (s *Set) Remove(t Ending) {
	s.mu.Lock()
	delete(s.set, t)
	s.mu.Unlock()
}

// CloseAll shuts every tunnel at once.
func (s *Set) CloseAll(why End) {
	for _, t := range s.those(func(Ending) bool { return true }) {
		t.Shut(why)
	}
}

// closeStep is the pause between two looks at tunnels that are closed over a time.
const closeStep = 20 * time.Millisecond

// closeGrace is how long after its window CloseOver waits for tunnels that take their
// time: for the answer of the comet, and for the client to take it.
const closeGrace = 2 * answerTime

// CloseOver ends every tunnel in order, one after the other, evenly spread over nine
// tenths of the window. Those that come meanwhile are among them. What is left
// closeGrace after it is shut plainly.
//
// It waits until all have ended, and leaves the rest as it is when ctx ends. So clients
// come back at a rate that whoever takes them can bear: as many a second as there are
// tunnels, divided by the window.
func (s *Set) CloseOver(ctx context.Context, why End, window time.Duration) {
	began := time.Now()
	tick := time.NewTicker(closeStep)
	defer tick.Stop()
	due := 0.0 // tunnels whose turn has come
	for last := began; ; {
		left := s.those(func(t Ending) bool { return t.Asked() == None })
		now := time.Now()
		if now.Sub(began) >= window+closeGrace {
			s.CloseAll(why)
			return
		}
		due += share(len(left), now.Sub(last), began.Add(window-window/10).Sub(last))
		last = now
		for ; due >= 1 && len(left) > 0; due-- {
			left[0].Ask(why)
			left = left[1:]
		}
		if s.Len() == 0 {
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

func (s *Set) those(which func(Ending) bool) []Ending {
	s.mu.Lock()
	defer s.mu.Unlock()
	some := make([]Ending, 0, len(s.set))
	for t := range s.set {
		if which(t) {
			some = append(some, t)
		}
	}
	return some
}

// Len is how many there are.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.set)
}
