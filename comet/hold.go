package comet

import (
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// hold is a /meta/connect that waits for its answer. Whoever completes it first
// does so under the lock of its session, by taking it out of there: a message, its
// timer, a newer connect, the end of the session, the client's hang-up, or the
// comet's leaving. It needs no goroutine of its own: the completer tells done over
// HTTP, and queues the reply over WebSocket.
type hold struct {
	// fixed after construction
	sock  *socket      // nil over HTTP
	reply bayeux.Reply // WebSocket only: the reply when all is well
	// done is told the outcome, once, over HTTP only. It is called under the lock of
	// the session, so it must not block, nor call the session.
	done func(release)

	// guarded by the session
	timer *time.Timer
}

// arm makes h the held connect of the session for at most d, and reports false,
// without doing so, when there is an answer already: the session has ended, or,
// over HTTP, messages wait.
func (s *session) arm(h *hold, d time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.state.live() || s.parting != stays || s.srv.refuses(s) || h.sock == nil && s.deliverable() {
		return false
	}
	s.releaseLocked(releaseReplaced)
	s.deadline = time.Time{}
	s.hold = h
	h.timer = time.AfterFunc(d, func() { s.release(h, releaseTimeout) })
	return true
}

// release completes h, unless another did.
func (s *session) release(h *hold, why release) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hold == h {
		s.releaseLocked(why)
	}
}

// releaseLocked completes the held connect, if there is one. From here on the
// session's time runs.
func (s *session) releaseLocked(why release) {
	h := s.hold
	if h == nil {
		return
	}
	s.hold = nil
	h.timer.Stop()
	s.deadline = time.Now().Add(s.lifetime())
	if h.sock == nil {
		h.done(why)
		return
	}
	switch why {
	case releaseReplaced, releaseHangup, releaseLeaving:
		// Not answered, as in CometD: the client that sent a second connect, or
		// lost its socket, no longer waits for the first; one that is told
		// goodbye learns it from the close code.
	default:
		h.sock.reply(s.srv.connectReply(h.reply, why, s.interval))
	}
}
