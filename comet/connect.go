package comet

import (
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// connect handles /meta/connect. The first of a session, and one that asks for a
// timeout of 0, is answered at once; over HTTP also one that is not alone in its
// request (CometD does the same). What a client asks for is capped by Timeout,
// the interval too: it lengthens the session's life.
func (x *exchange) connect(m *bayeux.Message, reply bayeux.Reply) (bayeux.Reply, *connect) {
	s := x.srv
	hold, interval := s.cfg.Timeout, s.cfg.Interval
	if wish, ok := bayeux.ParseAdvice(m.Advice); ok {
		if wish.Timeout >= 0 {
			hold = min(hold, wish.Timeout)
		}
		if wish.Interval >= 0 {
			interval = min(wish.Interval, max(s.cfg.Timeout, s.cfg.Interval))
		}
	}
	first, ok := x.session.connect(x.sock, interval)
	if !ok {
		return x.unknown(m, reply), nil
	}
	s.stats.connects.Inc()
	if first || x.transport != webSocket && !x.alone {
		hold = 0
	}
	return reply, &connect{reply: reply, hold: hold}
}

// connectReply makes the reply to a connect that ends for the given reason.
func (s *Server) connectReply(reply bayeux.Reply, why release, interval time.Duration) bayeux.Reply {
	switch why {
	case releaseCut, releaseLeaving:
		reply = reply.Fail(bayeux.ErrorSessionUnknown)
		reply.Advice = s.rehandshake()
		s.stats.errors.WithLabelValues(string(reply.Error)).Inc()
	case releaseEnded:
		reply.Successful = true
		reply.Advice = s.advice(interval)
		reply.Advice.Reconnect = bayeux.ReconnectNone
	default:
		reply.Successful = true
		reply.Advice = s.advice(interval)
	}
	return reply
}

// advice is what accompanies every handshake reply and every connect reply.
// CometD sends it only when it changed; a client that has it twice is no worse
// off, and one that lost an answer is better off.
func (s *Server) advice(interval time.Duration) *bayeux.Advice {
	a := &bayeux.Advice{Reconnect: bayeux.ReconnectRetry, Interval: interval, Timeout: s.cfg.Timeout}
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

// outcome is why a connect that nobody completed is answered, by the state in
// which its session is by now.
func (s *Server) outcome(session *session, state State) release {
	switch {
	case s.refuses(session), session.tell():
		return releaseLeaving
	case state == StateDisconnected:
		return releaseEnded
	case state == StateExpired:
		return releaseCut
	}
	return releaseMessages
}
