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
		s.leaveSocketLocked()
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
	s.leaveSocketLocked()
	k.attach(nil)
	if s.hold != nil && s.hold.sock == k {
		s.releaseLocked(releaseHangup)
	}
	if s.deadline.IsZero() && s.hold == nil {
		s.deadline = time.Now().Add(s.lifetimeLocked())
	}
	s.kickLocked()
}

// leaveSocketLocked forgets the socket, and the replies that it has not sent. What a
// parcel has of acknowledged messages is kept elsewhere.
func (s *session) leaveSocketLocked() {
	s.sock = nil
	switch p := s.parcel; {
	case p == nil:
	case s.acks != nil:
		p.drop()
	default:
		p.forgetReplies(p.leased, len(p.waiting))
	}
}

// lease hands what may leave now to the writer of k, appended to into, until
// settle. What it appended nothing to is no lease.
func (s *session) lease(k *socket, into []*outgoing) []*outgoing {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.sock != k || s.parcel.busy() || s.queue.leased > 0:
	case s.parcel.ready():
		s.parcel.lessee = k
		return s.lendLocked(&s.parcel.queue, into)
	case !s.connectOnly && s.urgentLocked():
		s.calmLocked()
		return s.lendLocked(&s.queue, into)
	}
	return into
}

func (s *session) lendLocked(q *queue, into []*outgoing) []*outgoing {
	if n := s.srv.cfg.WebSocketMessagesPerFrame; n != 1 {
		q.join(n)
	}
	return q.lease(into)
}

// left takes the first sent messages, which have left, off a lease.
func (s *session) left(sent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parcel.busy() {
		s.parcel.left(sent)
	} else {
		s.queue.left(sent)
	}
}

// settle ends a lease, of which the first sent messages have left.
func (s *session) settle(sent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.parcel; p.busy() {
		rest := p.leased - sent
		if p.settle(sent); p.lessee != s.sock {
			p.forgetReplies(0, rest)
		}
	} else {
		s.queue.settle(sent)
	}
	s.accountLocked()
	s.kickLocked()
}
