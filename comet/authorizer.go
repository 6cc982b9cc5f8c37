package comet

import (
	"slices"

	"github.com/halleycomet/halley/bayeux"
)

// Operation is what a session wants to do with a channel.
type Operation int

const (
	// OperationCreate: subscribe or publish to a channel that does not exist.
	OperationCreate Operation = 1 << iota
	OperationSubscribe
	OperationPublish
)

// Authorizer decides on an operation on the channel to which it was added, or that
// matches the pattern to which it was added. It is called as a [SecurityPolicy] is,
// after that has allowed the operation. Several decide together: one that denies is
// enough; otherwise one that grants is needed. A channel that has none is free.
type Authorizer func(op Operation, channel string, s *Session, m *Message) Verdict

// Verdict is what an Authorizer says: [Grant], [Refuse] or [Ignore]. The zero value
// is Ignore.
type Verdict struct {
	grant, deny bool
	reason      string
}

// Grant is a voice for it.
func Grant() Verdict { return Verdict{grant: true} }

// Refuse forbids it; reason is the middle part of the error, without colons.
func Refuse(reason string) Verdict { return Verdict{deny: true, reason: reason} }

// Ignore is no voice. What all ignore is denied (denied_by_not_granting).
func Ignore() Verdict { return Verdict{} }

// GrantTo is an authorizer that grants the operations, which are added up, and
// ignores the others: GrantTo(OperationSubscribe|OperationPublish). GrantTo(0), on
// a pattern, closes all of its channels but those where another authorizer grants.
func GrantTo(ops Operation) Authorizer {
	return func(op Operation, _ string, _ *Session, _ *Message) Verdict {
		return Verdict{grant: ops&op != 0}
	}
}

// authorized asks the authorizers of the channel and of the patterns that match it,
// the widest first.
func (s *Server) authorized(session *session, m *Message, o operation) bayeux.Error {
	if s.registered.authorizers.Load() == 0 {
		return ""
	}
	asked, granted := false, false
	for _, pattern := range slices.Backward(bayeux.Covering(o.channel)) {
		for _, a := range s.registered.of(pattern).authorizers {
			asked = true
			var v Verdict
			if !s.guard("an authorizer", func() { v = a.call(o.op, o.channel, session.handle(), m) }) {
				return bayeux.ErrorInternal
			}
			if v.deny {
				return bayeux.Denied(o.onError, bayeux.Reason(v.reason))
			}
			granted = granted || v.grant
		}
	}
	if asked && !granted {
		return bayeux.Denied(o.onError, bayeux.ReasonNotGranting)
	}
	return ""
}
