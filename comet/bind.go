package comet

import "time"

// How a session and a socket find and leave each other. The lock order is
// session, then socket.

// bind makes k the socket of the session. An older one stops at once, between
// two frames or in the middle of one (which then never arrives as a message), and
// what it had not sent goes out through k: nothing is lost and nothing doubled.
func (s *session) bind(k *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sock == k || !s.state.live() {
		return
	}
	if s.sock != nil {
		if s.hold != nil && s.hold.sock == s.sock {
			s.releaseLocked(releaseReplaced)
		}
		s.sock.retire()
	}
	s.sock = k
	k.attach(s)
	s.kickLocked()
}

// unbind parts the session from k, which is gone or serves another session now.
// The connect that was held there is forgotten, and the session's time runs.
func (s *session) unbind(k *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sock != k {
		return
	}
	s.sock = nil
	k.attach(nil)
	if s.hold != nil && s.hold.sock == k {
		s.releaseLocked(releaseHangup)
	}
	if s.deadline.IsZero() && s.hold == nil {
		s.deadline = time.Now().Add(s.lifetime())
	}
	s.kickLocked()
}

// lease hands what may leave now to the writer of k, appended to into, until
// settle. What it appended nothing to is no lease.
func (s *session) lease(k *socket, into []*outgoing) []*outgoing {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sock != k || !s.queue.ready() {
		return into
	}
	return s.queue.lease(into)
}

// left takes the first sent messages, which have left, off a lease.
func (s *session) left(sent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.left(sent)
}

// settle ends a lease, of which the first sent messages have left.
func (s *session) settle(sent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.settle(sent)
	s.kickLocked()
}
