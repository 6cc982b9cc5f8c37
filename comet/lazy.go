package comet

import "time"

// A lazy message is queued like any other, but wakes nobody: it leaves with the next
// message that is not lazy, with any answer that carries the queue, when a held
// connect has had its time, or when its own time is over. Lazy is a property of the
// message, given by the channels that it was published to, and never on the wire. A
// peer's session knows no laziness: the comets at the other end have their own.

// lazyTimer is what wakes a session for its lazy messages. (CometD's timer is not
// armed again once a message that is not lazy has passed it by; this one is.)
type lazyTimer struct {
	timer *time.Timer
	due   time.Time // zero: at rest
}

// restLocked lets what is queued wait for at most d.
func (s *session) restLocked(d time.Duration) {
	if s.lazy == nil {
		s.lazy = new(lazyTimer)
	}
	due := time.Now().Add(d)
	switch l := s.lazy; {
	case !l.due.IsZero() && !due.Before(l.due):
		return
	case l.timer == nil:
		l.timer, l.due = time.AfterFunc(d, s.rested), due
	default:
		l.timer.Reset(d)
		l.due = due
	}
}

// rested is called when the time of a lazy message is over, and perhaps once more
// when that message has left before.
func (s *session) rested() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lazy; !l.due.IsZero() && !time.Now().Before(l.due) {
		l.due = time.Time{}
		s.hurryLocked()
	}
}

// hurryLocked lets lazy messages leave as if they were not.
func (s *session) hurryLocked() {
	if s.queue.lazy > 0 {
		s.flush = true
		s.kickLocked()
	}
}

// calmLocked notes that nothing lazy waits any more.
func (s *session) calmLocked() {
	s.flush = false
	if s.lazy != nil {
		s.lazy.due = time.Time{}
		s.lazy.timer.Stop()
	}
}
