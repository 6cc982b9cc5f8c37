package park

import "time"

// Timeouts are deadlines that all lie the same time ahead when they are set, so that
// the first set is the first to pass: a list, and no heap. They belong to one loop and
// its goroutine. When one passes, the socket's handler is told so (Expired), once.
type Timeouts struct {
	// fixed after construction
	loop  *Loop
	after time.Duration

	first, last *Sock
}

// Timeouts are those of a duration; asked for again, they are the same. To be called in
// the loop's goroutine.
func (l *Loop) Timeouts(after time.Duration) *Timeouts {
	for _, t := range l.timeouts {
		if t.after == after {
			return t
		}
	}
	t := &Timeouts{loop: l, after: after}
	l.timeouts = append(l.timeouts, t)
	return t
}

// Set gives the socket a deadline, in place of the one that it had: a socket has one at
// a time.
func (t *Timeouts) Set(s *Sock) {
	s.ClearTimeout()
	at := t.loop.now.Add(t.after).Sub(t.loop.began)
	s.due, s.in, s.prev, s.next = at, t, t.last, nil
	if t.last != nil {
		t.last.next = s
	} else {
		t.first = s
	}
	t.last = s
	t.loop.alarm(at)
}

// ClearTimeout takes the socket's deadline away.
func (s *Sock) ClearTimeout() {
	t := s.in
	if t == nil {
		return
	}
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		t.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		t.last = s.prev
	}
	s.in, s.prev, s.next = nil, nil, nil
}

// sweep tells those whose deadline has passed, and returns when the next does.
func (l *Loop) sweep() (next time.Duration, some bool) {
	now := l.now.Sub(l.began)
	for _, t := range l.timeouts {
		for t.first != nil && t.first.due <= now {
			s := t.first
			s.ClearTimeout()
			s.handler.Ready(s, Expired)
		}
		if t.first != nil && (!some || t.first.due < next) {
			next, some = t.first.due, true
		}
	}
	return next, some
}
