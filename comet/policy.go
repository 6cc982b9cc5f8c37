package comet

import (
	"go.uber.org/zap"

	"github.com/halleycomet/halley/bayeux"
)

// SecurityPolicy decides what sessions may do, as CometD's SecurityPolicy does. A
// method is called in the goroutine that handles the client's request, under no
// lock, and may take its time: it delays that client alone. It may call everything
// of this package. One that panics has denied, with 500::internal_error.
//
// Embed [DefaultPolicy] to decide only some. Not asked are: what is denied to
// everybody (meta channels, those of the cloud), what other comets do, and what the
// program itself publishes or delivers. Local sessions are asked for.
type SecurityPolicy interface {
	// CanHandshake decides on a new session, which nobody else can see yet. The
	// handshake is m, with its ext, and the headers of its request; what is learnt
	// from them is best kept as an attribute of s. A denial is answered by
	// 403::handshake_denied, or 403:reason:handshake_denied.
	CanHandshake(s *Session, m *Message) Decision
	// CanCreate decides on a subscribe or publish to a channel that does not exist,
	// before the decision about that: one that has no subscribers here, and for
	// which nothing is registered or set by the program.
	CanCreate(s *Session, channel string, m *Message) Decision
	// CanSubscribe decides on each channel or pattern of a subscribe.
	CanSubscribe(s *Session, channel string, m *Message) Decision
	// CanPublish decides on each message to a broadcast or service channel.
	CanPublish(s *Session, channel string, m *Message) Decision
}

// Decision is what a SecurityPolicy decides; see [Allow] and [Deny]. The zero value
// denies.
type Decision struct {
	Allowed bool

	// Reason is why not: the middle part of the error, without colons. Empty means
	// denied_by_security_policy, or nothing in the case of a handshake.
	Reason string

	// Ext is an object whose members go into the ext of the reply to a handshake,
	// allowed or not.
	Ext bayeux.RawJSON

	// Advice goes with the denial of a handshake. Nil: reconnect none, so the client
	// does not come again, as in CometD.
	Advice *bayeux.Advice
}

// Allow is the decision for it.
func Allow() Decision { return Decision{Allowed: true} }

// Deny is the decision against it; reason may be empty.
func Deny(reason string) Decision { return Decision{Reason: reason} }

// DefaultPolicy allows everything, as CometD's default does.
type DefaultPolicy struct{}

// CanHandshake allows it.
func (DefaultPolicy) CanHandshake(*Session, *Message) Decision { return Allow() }

// CanCreate allows it.
func (DefaultPolicy) CanCreate(*Session, string, *Message) Decision { return Allow() }

// CanSubscribe allows it.
func (DefaultPolicy) CanSubscribe(*Session, string, *Message) Decision { return Allow() }

// CanPublish allows it.
func (DefaultPolicy) CanPublish(*Session, string, *Message) Decision { return Allow() }

// SetPolicy makes p decide; without it everything is allowed. It must be called
// before Run and before the first request.
func (s *Server) SetPolicy(p SecurityPolicy) { s.policy = p }

// admits asks the policy about a handshake.
func (s *Server) admits(m *Message, session *session, reply bayeux.Reply) (bayeux.Reply, bool) {
	decision, ok := s.decide(func() Decision { return s.policy.CanHandshake(session.handle(), m) })
	if decision.Ext != "" {
		decision.Ext.Members(reply.SetExt)
	}
	if decision.Allowed {
		return reply, true
	}
	s.refused(RefusedPolicy, zap.String("text", decision.Reason))
	switch {
	case !ok:
		reply = reply.Fail(bayeux.ErrorInternal)
	case decision.Reason != "":
		reply = reply.Fail(bayeux.Denied(bayeux.OperationHandshake, bayeux.Reason(decision.Reason)))
	default:
		reply = reply.Fail(bayeux.ErrorHandshakeDenied)
	}
	if reply.Advice = decision.Advice; reply.Advice == nil {
		reply.Advice = denied()
	}
	return reply, false
}

// decide asks for a decision; ok is false when that panicked.
func (s *Server) decide(ask func() Decision) (d Decision, ok bool) {
	ok = s.guard("the security policy", func() { d = ask() })
	if !ok {
		d = Decision{}
	}
	return d, ok
}

// operation is what authorizers and the policy decide on.
type operation struct {
	op      Operation
	channel string
	onError bayeux.Operation // as it stands in errors
}

// permits asks the policy, and then the authorizers. The error is empty when the
// session may.
func (s *Server) permits(session *session, m *Message, o operation) bayeux.Error {
	if s.policy != nil {
		decision, ok := s.decide(func() Decision {
			switch o.op {
			case OperationCreate:
				return s.policy.CanCreate(session.handle(), o.channel, m)
			case OperationSubscribe:
				return s.policy.CanSubscribe(session.handle(), o.channel, m)
			}
			return s.policy.CanPublish(session.handle(), o.channel, m)
		})
		switch {
		case !ok:
			return bayeux.ErrorInternal
		case !decision.Allowed && decision.Reason == "":
			return bayeux.Denied(o.onError, bayeux.ReasonPolicy)
		case !decision.Allowed:
			return bayeux.Denied(o.onError, bayeux.Reason(decision.Reason))
		}
	}
	return s.authorized(session, m, o)
}

// guarded tells whether anybody is to be asked.
func (s *Server) guarded() bool { return s.policy != nil || s.registered.authorizers.Load() > 0 }

// mayReach asks about a channel that is subscribed to or published to, and first,
// when it does not exist, about its creation.
func (x *exchange) mayReach(in *bayeux.Message, o operation, creation bayeux.Operation) bayeux.Error {
	s := x.srv
	if x.session.peer || !s.guarded() {
		return ""
	}
	m := x.message(in)
	if !s.exists(o.channel) {
		if bad := s.permits(x.session, m, operation{OperationCreate, o.channel, creation}); bad != "" {
			return bad
		}
	}
	return s.permits(x.session, m, o)
}

// guard runs a callback, and tells whether it did not panic. A panic ends nothing:
// it is logged, and the caller answers.
func (s *Server) guard(what string, callback func()) (ok bool) {
	defer func() {
		if fault := recover(); fault != nil {
			ok = false
			s.log.Error("panic in "+what, zap.Any("panic", fault), zap.Stack("stack"))
		}
	}()
	callback()
	return true
}
