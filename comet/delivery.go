package comet

// How messages come into the queue of a session, and how HTTP answers take them.
// (Sockets: see bind.go and parcel.go.)

// enqueue gives the session a message. It blocks on nothing. A false result means
// that there was no room for it, and why; see Server.overflow.
func (s *session) enqueue(o *outgoing) (Drop, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.state.live() {
		return "", true
	}
	if why, ok := s.roomLocked(o); !ok {
		return why, false
	}
	s.queue.append(o)
	s.accountLocked()
	if o.lazy > 0 && !s.urgentLocked() {
		s.restLocked(o.lazy)
		return "", true
	}
	s.kickLocked()
	return "", true
}

// urgentLocked tells whether something must not wait any longer.
func (s *session) urgentLocked() bool {
	return s.queue.urgent() || s.queue.ready() && (s.flush || s.peer)
}

// deliverableLocked tells whether an HTTP answer could carry something now.
func (s *session) deliverableLocked() bool {
	return (s.sock == nil || s.connectOnly) && (s.urgentLocked() || s.sock == nil && s.parcel.holds())
}

// take returns what an HTTP answer, other than to a connect, may carry.
func (s *session) take() []*outgoing {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connectOnly || s.sock != nil {
		return nil
	}
	return s.takeLocked()
}

// goodbye is what the answer to a connect of a session that has ended carries: what
// waits, whatever the way of delivery was.
func (s *session) goodbye() []*outgoing {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sock != nil {
		return nil
	}
	return s.takeLocked()
}

// takeLocked empties the queue, and before it what a socket has not sent, unless
// one is still at it.
func (s *session) takeLocked() []*outgoing {
	if s.queue.leased > 0 || s.parcel.busy() {
		return nil
	}
	all := append(s.parcel.unpack(), s.queue.take()...)
	s.calmLocked()
	s.accountLocked()
	return all
}

// kickLocked sees to it that what waits is on its way.
func (s *session) kickLocked() {
	if s.sock != nil && s.parcel.ready() {
		s.sock.wake()
	}
	switch {
	case s.local != nil:
		if s.urgentLocked() {
			s.local.wake()
		}
	case s.sock != nil && !s.connectOnly:
		if s.urgentLocked() {
			s.sock.wake()
		}
	case s.batch == 0 && s.hold != nil && s.deliverableLocked():
		s.releaseLocked(releaseMessages)
	}
}

// waitingLocked counts the messages that are not on their way, or not known to have
// arrived: those that may be lost if the session ends now.
func (s *session) waitingLocked() int {
	return len(s.queue.waiting) - s.queue.leased + s.parcel.messages() + s.acks.messages()
}
