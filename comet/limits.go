package comet

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// backlog is how much waits in all sessions together, and in large answers that their
// clients have not taken yet: one client can let many wait at once, each with all that
// it has not acknowledged. Each session accounts for its share
// in steps, so that a session whose messages leave as they come, or nearly so,
// touches no memory that all sessions share.
type backlog struct {
	max   int64 // fixed after construction
	bytes atomic.Int64
}

// backlogStep is what of a session's backlog is not counted.
const backlogStep = 4 << 10

// steps is how many whole steps n bytes are.
func steps(n int) int { return n / backlogStep }

// fits tells whether a session may have so many more steps.
func (b *backlog) fits(more int) bool {
	return more <= 0 || b.bytes.Load()+int64(more)*backlogStep <= b.max
}

// lend takes room for an answer that its client does not take at once; false when
// there is none.
func (b *backlog) lend(n int) bool {
	if b.bytes.Add(int64(n)) > b.max {
		b.bytes.Add(-int64(n))
		return false
	}
	return true
}

func (b *backlog) giveBack(n int) { b.bytes.Add(-int64(n)) }

// unanswered notes that there was no room for an answer, with so many messages, and
// that its connection is closed instead. What is to be acknowledged comes again.
func (s *Server) unanswered(session *session, messages int) {
	if session == nil || session.acknowledged() {
		messages = 0
	}
	s.dropped(DropTotalBytes, messages)
	if suppressed, ok := s.full.allow(time.Now()); ok {
		s.log.Warn("an answer was not sent: too much waits already", zap.String("reason", string(DropTotalBytes)),
			zap.Int("messages", messages), zap.Int("suppressed", suppressed))
	}
}

// bytesLocked is what waits for the session, and what its client has not
// acknowledged.
func (s *session) bytesLocked() int {
	n := s.queue.bytes
	if s.acks != nil {
		return n + s.acks.bytes // what is in the parcel is among the unacknowledged
	}
	if s.parcel != nil {
		n += s.parcel.bytes
	}
	return n
}

// accountLocked brings the backlog of all up to date. What waits for a session that
// has ended leaves with its last answer, or never.
func (s *session) accountLocked() {
	now := 0
	if s.state.live() {
		now = steps(s.bytesLocked())
	}
	if now != s.steps {
		s.srv.backlog.bytes.Add(int64(now-s.steps) * backlogStep)
		s.steps = now
	}
}

// roomLocked tells whether there is room for one more message. A message larger
// than the byte limit passes when nothing else is there. What was sent and not
// acknowledged takes room: a client that never acknowledges, or names an old number
// again and again, fills it (CVE-2025-53114).
func (s *session) roomLocked(o *outgoing) (Drop, bool) {
	maxMessages, maxBytes := s.srv.cfg.MaxQueue, s.srv.cfg.MaxQueueBytes
	if s.peer {
		maxMessages, maxBytes = maxMessages*s.srv.cfg.PeerQueueFactor, maxBytes*s.srv.cfg.PeerQueueFactor
	}
	messages, bytes := len(s.queue.waiting), s.bytesLocked()
	unacked := s.acks.messages() > 0
	switch {
	case unacked:
		messages += len(s.acks.sent)
	case s.parcel != nil:
		messages += len(s.parcel.waiting)
	}
	switch {
	case messages >= maxMessages && unacked:
		return DropUnackedMessages, false
	case messages >= maxMessages:
		return DropQueueMessages, false
	case bytes > 0 && bytes+len(o.json) > maxBytes && unacked:
		return DropUnackedBytes, false
	case bytes > 0 && bytes+len(o.json) > maxBytes:
		return DropQueueBytes, false
	case !s.peer && !s.srv.backlog.fits(steps(bytes+len(o.json))-s.steps):
		return DropTotalBytes, false
	}
	return "", true
}
