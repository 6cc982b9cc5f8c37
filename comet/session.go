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
	made int64 // when, in milliseconds since 1970
	// remote and local are fixed before anybody else sees the session.
	remote net.Addr      // of the connection of the handshake
	local  *LocalSession // whose session it is, nil of a remote client

	extras atomic.Pointer[extras] // nil of most

	// guarded by the channels
	subscriptions subscribed
	unsubscribed  bool // for good

	mu sync.Mutex
	// guarded by mu
	state State
	via   transport // of the last handshake or connect
	// connectOnly: messages leave with the replies to connects and with nothing else
	// (CometD's metaConnectDeliverOnly).
	connectOnly bool
	flush       bool // what is lazy leaves, too
	queue       queue
	steps       int // of the backlog of all sessions
	// batch counts the HTTP requests in work whose answer will carry the queue; a
	// held connect is not woken for what they will carry.
	batch int
	turn  int     // how many connects have come
	hold  *hold   // the held connect
	sock  *socket // the socket that drains the queue
	// deadline is when the session expires; zero while a connect is in work or held.
	deadline time.Time
	// touched is when its client said something last; kept with MaxProcessing only.
	touched time.Time
	// interval is the advised interval, or what the client asked for in its last
	// connect.
	interval time.Duration
	parting  parting // while the comet drains

	// What few sessions have, nil without.
	parcel *parcel    // what goes with a connect reply over a socket
	acks   *acks      // the extension of acknowledged messages
	lazy   *lazyTimer // of messages that may wait
	tuning *tuning    // settings of its own
	origin *origin    // where it began
}

func (s *Server) newSession(id string, peer bool) *session {
	return &session{
		id: id, srv: s, peer: peer, interval: s.cfg.Interval, made: time.Now().UnixMilli(),
	}
}

// accept makes the session usable.
func (s *session) accept(via transport) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, _ = next(s.state, eventAccept)
	s.via = via
	s.connectOnly = s.acks != nil || s.srv.cfg.MetaConnectDeliverOnly && !s.peer && s.local == nil
	s.deadline = time.Now().Add(s.lifetimeLocked())
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
	s.touchLocked()
	if soonest := time.Now().Add(s.maxIntervalLocked()); !s.deadline.IsZero() && s.deadline.Before(soonest) {
		s.deadline = soonest
	}
	return true
}

func (s *session) touchLocked() {
	if s.srv.cfg.MaxProcessing > 0 {
		s.touched = time.Now()
	}
}

// arrival is what a /meta/connect brings.
type arrival struct {
	sock     *socket // nil over HTTP
	via      transport
	timeout  time.Duration // what the client asks for; negative: nothing
	interval time.Duration // likewise
	ack      ack
}

// connect notes a /meta/connect, completes the one that is held, and tells for how
// long the new one may be held: not at all when it is the session's first, or when
// the client has to get again what it has not acknowledged. turn is its place among
// the connects of the session.
func (s *session) connect(a arrival) (hold time.Duration, turn int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, ok := next(s.state, eventConnect)
	if !ok || s.parting == told {
		return 0, 0, false
	}
	s.turn++
	first := s.state != StateConnected
	s.state, s.via = state, a.via
	s.touchLocked()
	s.releaseLocked(releaseReplaced)
	s.deadline = time.Time{}
	hold, s.interval = s.timeoutLocked(), s.ownIntervalLocked()
	if a.timeout >= 0 {
		hold = min(hold, a.timeout)
	}
	if a.interval >= 0 {
		s.interval = min(a.interval, max(s.srv.cfg.Timeout, s.interval))
	}
	if a.sock == nil && s.sock != nil {
		s.sock.retire()
		s.leaveSocketLocked()
	}
	if s.acks != nil && s.ackedLocked(a.ack) && a.timeout < 0 {
		hold = 0
	}
	if first {
		hold = 0
	}
	return hold, s.turn, true
}

// socket is the socket that drains the queue, if there is one.
func (s *session) socket() *socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sock
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
	s.calmLocked()
	waiting = s.waitingLocked()
	if drop {
		s.queue.drop()
		s.parcel.drop()
		s.acks.drop()
	}
	if goodbye != nil {
		s.queue.append(goodbye)
		if s.connectOnly && s.sock != nil && s.hold == nil {
			s.unwrapLocked() // no connect reply will come to take it along
		}
		if s.sock != nil {
			s.sock.wake()
		}
	}
	s.accountLocked()
	return waiting, true
}

// complete completes the held connect, if there is one.
func (s *session) complete(why release) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releaseLocked(why)
}

// expired tells whether the session's time is over, and which.
func (s *session) expired(now time.Time) (Drop, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := s.srv.cfg.MaxProcessing
	switch {
	case !s.state.live():
	case !s.deadline.IsZero() && s.parting == told:
		return DropLeaving, now.After(s.deadline)
	case !s.deadline.IsZero():
		return DropExpired, now.After(s.deadline)
	case limit > 0 && now.Sub(s.touched) > limit:
		return DropProcessing, true
	}
	return "", false
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

// rekick looks again whether something waits.
func (s *session) rekick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kickLocked()
}
