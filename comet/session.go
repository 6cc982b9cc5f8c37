package comet

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// session is one client: a state machine with one queue. The transports are ways
// into it: a request over HTTP takes the queue with its answer, a held connect is
// completed when something comes, a socket drains the queue as it fills.
type session struct {
	// fixed after construction
	id   string
	peer bool // another comet
	srv  *Server
	// remote and local are fixed before anybody else sees the session.
	remote net.Addr      // of the connection of the handshake
	local  *LocalSession // whose session it is, nil of a remote client

	extras atomic.Pointer[extras] // nil of most

	// guarded by the channels
	subscriptions map[string]*subscription
	unsubscribed  bool // for good

	mu sync.Mutex
	// guarded by mu
	state State
	queue queue
	// batch counts the HTTP requests in work whose answer will carry the queue; a
	// held connect is not woken for what they will carry.
	batch int
	hold  *hold   // the held connect
	sock  *socket // the socket that drains the queue
	// deadline is when the session expires; zero while a connect is in work or held.
	deadline time.Time
	// interval is the advised interval, or what the client asked for in its last
	// connect.
	interval time.Duration
	parting  parting // while the comet drains
}

func (s *Server) newSession(id string, peer bool) *session {
	factor := 1
	if peer {
		factor = s.cfg.PeerQueueFactor
	}
	return &session{
		id: id, srv: s, peer: peer, interval: s.cfg.Interval,
		queue: queue{maxMessages: s.cfg.MaxQueue * factor, maxBytes: s.cfg.MaxQueueBytes * factor},
	}
}

// lifetime is how long the session lives without a connect.
func (s *session) lifetime() time.Duration { return s.interval + s.srv.cfg.MaxInterval }

// deliverable tells whether an HTTP answer could carry something now.
func (s *session) deliverable() bool {
	return s.queue.ready() && s.sock == nil
}

// accept makes the session usable.
func (s *session) accept() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, _ = next(s.state, eventAccept)
	s.deadline = time.Now().Add(s.lifetime())
}

// message notes that the client sent something other than a connect, and tells
// whether it may. It never shortens the session's life (as in CometD).
func (s *session) message() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, ok := next(s.state, eventMessage)
	if !ok {
		return false
	}
	s.state = state
	if soonest := time.Now().Add(s.srv.cfg.MaxInterval); !s.deadline.IsZero() && s.deadline.Before(soonest) {
		s.deadline = soonest
	}
	return true
}

// connect notes a /meta/connect that came over sock, or over HTTP, and completes
// the one that is held. first tells that it is the session's first.
func (s *session) connect(sock *socket, interval time.Duration) (first, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, ok := next(s.state, eventConnect)
	if !ok || s.parting == told {
		return false, false
	}
	first = s.state != StateConnected
	s.state = state
	s.releaseLocked(releaseReplaced)
	s.deadline = time.Time{}
	s.interval = interval
	if sock == nil && s.sock != nil {
		s.sock.retire()
		s.sock = nil
	}
	return first, true
}

// answered ends a connect that is answered now, and returns what goes with the
// answer. Over a socket nothing does: it has its own way to the queue.
func (s *session) answered(overHTTP bool) ([]*outgoing, State, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hold == nil {
		s.deadline = time.Now().Add(s.lifetime())
	}
	if !overHTTP {
		return nil, s.state, s.interval
	}
	return s.takeLocked(), s.state, s.interval
}

// socket is the socket that drains the queue, if there is one.
func (s *session) socket() *socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sock
}

// take returns what an HTTP answer may carry.
func (s *session) take() []*outgoing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeLocked()
}

func (s *session) takeLocked() []*outgoing {
	if !s.deliverable() {
		return nil
	}
	return s.queue.take()
}

// enqueue gives the session a message. It blocks on nothing. A false result
// means that the queue is full and the session must be cut, which the caller does
// when it holds no lock.
func (s *session) enqueue(o *outgoing) (Drop, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.state.live() {
		return "", true
	}
	if why, ok := s.queue.push(o); !ok {
		return why, false
	}
	s.kickLocked()
	return "", true
}

// kickLocked sees to it that what waits is on its way.
func (s *session) kickLocked() {
	switch {
	case !s.queue.ready():
	case s.sock != nil:
		s.sock.wake()
	case s.batch == 0:
		s.releaseLocked(releaseMessages)
	}
}

// begin and end stand around an HTTP request whose answer carries the queue.
func (s *session) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batch++
}

func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batch--
	s.kickLocked()
}

// finish ends the session for good; false when it had ended before. Its held
// connect is still to be completed. goodbye, if not nil, is the last thing its
// client gets. It returns how many messages still wait; with drop they are
// forgotten, otherwise they may yet leave with the last answer.
func (s *session) finish(e event, drop bool, goodbye *outgoing) (waiting int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, ok := next(s.state, e)
	if !ok {
		return 0, false
	}
	s.state = state
	waiting = len(s.queue.waiting) - s.queue.leased
	if drop {
		s.queue.drop()
	}
	if goodbye != nil {
		s.queue.append(goodbye)
		if s.sock != nil {
			s.sock.wake()
		}
	}
	return waiting, true
}

// complete completes the held connect, if there is one.
func (s *session) complete(why release) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releaseLocked(why)
}

// expired tells whether the session's time is over.
func (s *session) expired(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.live() && !s.deadline.IsZero() && now.After(s.deadline)
}

// endedByServer tells that the session was disconnected, and not by its client.
func (s *session) endedByServer() bool {
	if x := s.extras.Load(); x != nil {
		x.mu.Lock()
		defer x.mu.Unlock()
		return x.cause == CauseServer
	}
	return false
}
