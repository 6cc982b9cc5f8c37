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
	// message is, over WebSocket, for the extensions that see the reply; nil: none do.
	message *Message
	// done is told the outcome, once, over HTTP only. It is called under the lock of
	// the session, so it must not block, nor call the session.
	done func(release)
	// browser is what it counts for among the held connects of one browser, over
	// HTTP only; empty when it does not.
	browser browser

	// turn is that of its connect (see session.connect); 0: of the last one.
	turn int

	// crowded: it was not held because its browser holds too many. replaced: because
	// a newer connect has come since its own did. Set by arm.
	crowded, replaced bool

	// guarded by the session
	timer *time.Timer
}

// arm makes h the held connect of the session for at most d, and reports false,
// without doing so, when there is an answer already: the session has ended,
// messages wait for a connect reply, or h is crowded; or when a newer connect has
// come, which is not to be replaced by an older one that is armed late.
func (s *session) arm(h *hold, d time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.state.live() || s.srv.refuses(s) {
		return false
	}
	if h.replaced = h.turn != 0 && h.turn != s.turn; h.replaced {
		return false
	}
	if s.parting != stays && h.sock == nil || s.deliverableLocked() {
		return false
	}
	s.releaseLocked(releaseReplaced)
	if h.crowded = !s.srv.browsers.enter(h.browser); h.crowded {
		return false
	}
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
	s.srv.browsers.leave(h.browser)
	s.deadline = time.Now().Add(s.lifetimeLocked())
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
		reply := s.connectReplyLocked(h.reply, why)
		if h.message == nil {
			s.replyLocked(h.sock, reply)
		} else {
			// Extensions run under no lock; whoever completes h has one.
			s.srv.callbacks.start(func() { s.replySeen(h.sock, h.message, reply) })
		}
		s.hurryLocked()
	}
}

// answerSocket answers a connect that is not held, over a socket.
func (s *session) answerSocket(k *socket, c connect) {
	s.mu.Lock()
	if s.hold == nil {
		s.deadline = time.Now().Add(s.lifetimeLocked())
	}
	reply := s.connectReplyLocked(c.reply, releaseMessages)
	s.mu.Unlock()
	s.replySeen(k, c.message, reply)
}

// replySeen sends the reply to a connect over a socket, once the extensions have seen
// it.
func (s *session) replySeen(k *socket, m *Message, reply bayeux.Reply) {
	reply, ok := s.srv.outgoingReply(m, s, reply)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replyLocked(k, reply)
}

func (s *session) replyLocked(k *socket, reply bayeux.Reply) {
	if s.connectOnly && k == s.sock {
		s.postLocked(reply)
	} else {
		k.reply(reply)
	}
}

// answerPoll ends a connect over HTTP, that nobody completed or that was completed
// for the given reason: it returns the reply and the messages that go before it. Those
// are left to a newer connect, if one has come meanwhile (turn is as in hold): its
// answer, which may be on its way, is the one that the client waits for.
func (s *session) answerPoll(reply bayeux.Reply, why release, turn int) (bayeux.Reply, []*outgoing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reply = s.connectReplyLocked(reply, why)
	if turn != 0 && turn != s.turn {
		return reply, nil
	}
	if s.hold == nil {
		s.deadline = time.Now().Add(s.lifetimeLocked())
		if why == releaseCrowded {
			s.deadline = s.deadline.Add(max(0, s.srv.cfg.MultiSessionInterval))
		}
	}
	if s.acks == nil {
		if s.sock != nil && !s.connectOnly {
			return reply, nil
		}
		return reply, s.takeLocked()
	}
	var messages []*outgoing
	s.parcel.drop()
	reply.Ext = s.dispatchLocked(reply.Ext, func(o *outgoing) { messages = append(messages, o) })
	s.accountLocked()
	return reply, messages
}
