package comet

import (
	"strings"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// connect handles /meta/connect. The first of a session, and one that asks for a
// timeout of 0, is answered at once; over HTTP also one that is not alone in its
// request (CometD does the same). What a client asks for is capped by Timeout,
// the interval too: it lengthens the session's life.
func (x *exchange) connect(m *bayeux.Message, reply bayeux.Reply) (bayeux.Reply, *connect) {
	a := arrival{sock: x.sock, via: x.transport, timeout: -1, interval: -1, ack: ackOf(m)}
	if wish, ok := bayeux.ParseAdvice(m.Advice); ok {
		a.timeout, a.interval = wish.Timeout, wish.Interval
	}
	hold, turn, ok := x.session.connect(a)
	if !ok {
		return x.unknown(m, reply), nil
	}
	x.srv.stats.connects.Inc()
	if x.transport != webSocket && !x.alone {
		hold = 0
	}
	if hold > 0 {
		// It may be kept for long, and is not to keep the whole request.
		reply.Channel, reply.ID = bayeux.MetaConnect, strings.Clone(reply.ID)
	}
	return reply, &connect{reply: reply, hold: hold, turn: turn}
}

// connectReplyLocked makes the reply to a connect that ends for the given reason, or
// for that which the session's state gives by now.
func (s *session) connectReplyLocked(reply bayeux.Reply, why release) bayeux.Reply {
	if why == releaseMessages || why == releaseTimeout {
		why = s.outcomeLocked()
	}
	switch why {
	case releaseCut, releaseLeaving:
		reply = reply.Fail(bayeux.ErrorSessionUnknown)
		reply.Advice = s.srv.rehandshake()
		s.srv.stats.failed(reply.Error)
		return reply
	case releaseCrowded:
		reply.Advice = s.adviceLocked()
		reply.Advice.MultipleClients = true
		reply.Advice.Interval = s.srv.cfg.MultiSessionInterval
		if reply.Successful = reply.Advice.Interval > 0; !reply.Successful {
			reply.Advice.Reconnect, reply.Advice.Interval = bayeux.ReconnectNone, 0
		}
		return reply
	case releaseEnded:
		reply.Advice = s.adviceLocked()
		reply.Advice.Reconnect = bayeux.ReconnectNone
	default:
		reply.Advice = s.adviceLocked()
	}
	reply.Successful = true
	return reply
}

// adviceLocked is what accompanies every connect reply of the session. CometD sends
// it only when it changed; a client that has it twice is no worse off, and one that
// lost an answer, or was told to poll because its browser was crowded, is better off.
func (s *session) adviceLocked() *bayeux.Advice {
	a := s.srv.advice(s.interval, s.timeoutLocked())
	if a.MaxInterval > 0 {
		a.MaxInterval = s.maxIntervalLocked()
	}
	return a
}

// firstAdvice is what accompanies the handshake reply.
func (s *session) firstAdvice() *bayeux.Advice {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.adviceLocked()
}

func (s *Server) advice(interval, timeout time.Duration) *bayeux.Advice {
	a := &bayeux.Advice{Reconnect: bayeux.ReconnectRetry, Interval: interval, Timeout: timeout}
	if s.cfg.HandshakeReconnect {
		a.MaxInterval = s.cfg.MaxInterval
	}
	return a
}

// rehandshake sends a client to handshake at once, here or, when the comet
// leaves, wherever the balancer leads it.
func (s *Server) rehandshake() *bayeux.Advice {
	return &bayeux.Advice{Reconnect: bayeux.ReconnectHandshake, Timeout: s.cfg.Timeout}
}

// outcomeLocked is why a connect that nobody completed is answered, by the state in
// which its session is by now.
func (s *session) outcomeLocked() release {
	switch {
	case s.srv.refuses(s), s.tellLocked():
		return releaseLeaving
	case s.state == StateDisconnected:
		return releaseEnded
	case s.state == StateExpired:
		return releaseCut
	}
	return releaseMessages
}
