package comet

import (
	"slices"

	"github.com/halleycomet/halley/bayeux"
)

// Extension sees messages before anybody else does, and after. Each function may be
// nil. Extensions of the server ([Server.AddExtension]) see every message, those of
// a session ([Session.AddExtension]) only what that session sends and gets. Those
// added first see incoming messages first, and replies and outgoing messages last;
// extensions of the server come before those of the session, both ways (CometD).
//
// The functions are called in the goroutine that handles a request, or that
// publishes, under no lock. They may call everything of this package, and should be
// quick: Reply and Outgoing delay others than the sender. Other comets are not seen.
type Extension struct {
	// Incoming sees a message before it is looked at: its channel and id are well
	// formed, its session may be unknown (From is nil then). It may change it. False
	// deletes it: the reply is that in m.Reply, when it was made successful or given
	// an error there, and 404::message_deleted otherwise. If it panics the reply is
	// 500::internal_error.
	Incoming func(m *Message) bool

	// Reply sees the reply to a message, in m.Reply, before it is written: that to
	// a /meta/connect when the connect is answered. False suppresses it: nothing is
	// written for m. If it panics the reply is written as it is.
	Reply func(m *Message) bool

	// Outgoing sees a message before it is delivered, and may change it. False
	// deletes it. An extension of the server sees what is published once, before it
	// goes to its subscribers, and what is delivered to one session; to is nil for
	// the former. One of a session sees a copy of its own. If it panics the message
	// goes out as it is.
	Outgoing func(to *Session, m *Message) bool
}

// AddExtension makes e see all messages from now on, until the result is called.
// Replies to messages that came before may be seen too.
func (s *Server) AddExtension(e Extension) (remove func()) { return s.extensions.add(e) }

// incoming shows a message to the extensions. The reply is final when ok is false.
func (s *Server) incoming(m *Message, session *session, reply bayeux.Reply) (_ bayeux.Reply, ok bool) {
	m.Reply = &reply
	for _, list := range []*list[Extension]{&s.extensions, session.extensions()} {
		for _, e := range list.all() {
			if e.call.Incoming == nil {
				continue
			}
			pass := false
			sound := s.guard("an extension", func() { pass = e.call.Incoming(m) })
			switch {
			case !sound:
				return reply.Fail(bayeux.ErrorInternal), false
			case pass:
			case reply.Error == "" && !reply.Successful:
				return reply.Fail(bayeux.ErrorMessageDeleted), false
			default:
				return reply, false
			}
		}
	}
	return reply, true
}

// outgoingReply shows a reply to the extensions; false means that it is not sent.
// m is nil when there were no extensions when it came.
func (s *Server) outgoingReply(m *Message, session *session, reply bayeux.Reply) (bayeux.Reply, bool) {
	if m == nil {
		return reply, true
	}
	m.Reply = &reply
	for _, list := range []*list[Extension]{&s.extensions, session.extensions()} {
		for _, e := range slices.Backward(list.all()) {
			if e.call.Reply == nil {
				continue
			}
			pass := true
			s.guard("an extension", func() { pass = e.call.Reply(m) })
			if !pass {
				return reply, false
			}
		}
	}
	return reply, true
}

// outgoingMessage shows a message to extensions before it is delivered.
func (s *Server) outgoingMessage(extensions *list[Extension], to *Session, m *Message) bool {
	for _, e := range slices.Backward(extensions.all()) {
		if e.call.Outgoing == nil {
			continue
		}
		pass := true
		s.guard("an extension", func() { pass = e.call.Outgoing(to, m) })
		if !pass {
			return false
		}
	}
	return true
}
