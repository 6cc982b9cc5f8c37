package cluster

import (
	"context"
	"sync"
	"time"
)

// saying is the part of the metadata that changes while a node runs.
type saying struct {
	state State
	load  int
}

// self is what this node tells of itself.
type self struct {
	// Fixed after construction.
	node    Node
	changed chan struct{} // holds one token while now may differ from said

	mu   sync.Mutex
	now  saying // guarded by mu
	said saying // guarded by mu; what the gossip was last given
}

func newSelf(n Node) *self {
	s := &self{node: n, changed: make(chan struct{}, 1)}
	s.now = saying{state: n.State, load: n.Load}
	s.said = s.now
	return s
}

func (s *self) set(f func(*saying)) {
	s.mu.Lock()
	f(&s.now)
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// meta is given to the gossip, and from then on counts as said.
func (s *self) meta() []byte {
	s.mu.Lock()
	s.said = s.now
	n := s.node
	n.State, n.Load = s.now.state, s.now.load
	s.mu.Unlock()
	return encodeMeta(n)
}

// unsaid reports whether the gossip has an old state, and whether it has an old
// load.
func (s *self) unsaid() (state, load bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.state != s.said.state, s.now.load != s.said.load
}

// announce tells the gossip of changes until ctx ends: of a state at once, of a
// load at most once in interval. tell fetches meta and queues it for the gossip.
func (s *self) announce(ctx context.Context, interval time.Duration, tell func()) {
	var next <-chan time.Time // set while a load waits for its turn
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
		case <-next:
			next = nil
		}
		state, load := s.unsaid()
		if !state && !load {
			continue
		}
		if wait := interval - time.Since(last); !state && wait > 0 {
			if next == nil {
				next = time.After(wait)
			}
			continue
		}
		tell()
		last = time.Now()
	}
}
