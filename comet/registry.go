package comet

import (
	"sync"
	"time"
)

// registry holds what is alive: the sessions by clientId, and the sockets.
type registry struct {
	mu sync.RWMutex
	// guarded by mu
	byID    map[string]*session
	peers   int // of the sessions
	sockets map[*socket]struct{}
	closed  bool          // the comet leaves: nothing is added any more
	empty   chan struct{} // closed when closed and the last socket has gone
}

func newRegistry() *registry {
	return &registry{
		byID: make(map[string]*session), sockets: make(map[*socket]struct{}), empty: make(chan struct{}),
	}
}

// add is false when the comet leaves.
func (r *registry) add(s *session) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.byID[s.id] = s
		if s.peer {
			r.peers++
		}
	}
	return !r.closed
}

func (r *registry) remove(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID[s.id] == s {
		delete(r.byID, s.id)
		if s.peer {
			r.peers--
		}
	}
}

// find returns nil for an unknown id. The session may have ended meanwhile.
func (r *registry) find(id string) *session {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byID[id]
}

func (r *registry) all() []*session {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]*session, 0, len(r.byID))
	for _, s := range r.byID {
		all = append(all, s)
	}
	return all
}

// ordinary lists the sessions of remote clients, which other comets are not.
func (r *registry) ordinary() []*session {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]*session, 0, len(r.byID)-r.peers)
	for _, s := range r.byID {
		if !s.peer && s.local == nil {
			all = append(all, s)
		}
	}
	return all
}

// clients counts the sessions that are not those of other comets.
func (r *registry) clients() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.byID) - r.peers
}

// addSocket is false when the comet leaves.
func (r *registry) addSocket(k *socket) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.sockets[k] = struct{}{}
	}
	return !r.closed
}

func (r *registry) removeSocket(k *socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sockets, k)
	if r.closed && len(r.sockets) == 0 {
		close(r.empty)
	}
}

// idle lists the sockets that have been silent since then.
func (r *registry) idle(since time.Time) (idle []*socket) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for k := range r.sockets {
		if k.idle(since) {
			idle = append(idle, k)
		}
	}
	return idle
}

// close ends the adding and returns the sockets that are left.
func (r *registry) close() []*socket {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := make([]*socket, 0, len(r.sockets))
	for k := range r.sockets {
		left = append(left, k)
	}
	if !r.closed && len(left) == 0 {
		close(r.empty)
	}
	r.closed = true
	return left
}
