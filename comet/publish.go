package comet

import (
	"slices"

	"github.com/halleycomet/halley/bayeux"
)

// publish handles a message on a broadcast or service channel.
func (x *exchange) publish(m *bayeux.Message, reply bayeux.Reply) bayeux.Reply {
	s, peer := x.srv, x.session.peer
	kind, name := bayeux.KindOf(m.Channel), bayeux.CleanChannel(m.Channel)
	switch {
	case kind == bayeux.Meta:
		return reply.Fail(bayeux.Denied(bayeux.OperationChannelCreate, bayeux.ReasonPolicy))
	case bayeux.IsWild(name):
		return reply.Fail(bayeux.ErrorChannelInvalid)
	case protected(name) && !peer:
		return reply.Fail(bayeux.Denied(bayeux.OperationPublish, bayeux.ReasonNotGranting))
	case kind == bayeux.Broadcast && m.Data == "":
		// Without data it would look like a reply to its subscribers. A service
		// call needs none.
		return reply.Fail(bayeux.ErrorDataMissing)
	}
	if bad := x.mayReach(m, operation{OperationPublish, name, bayeux.OperationPublish}, bayeux.OperationChannelCreate); bad != "" {
		return reply.Fail(bad)
	}
	s.stats.publishes.Inc()
	if protected(name) {
		s.cloud.PeerMessage(x.session.id, m)
	} else if bad := s.publish(name, m, x.message, x.session, audience{ordinary: true, peers: !peer}); bad != "" {
		// What comes from a peer stays here: one hop only.
		return reply.Fail(bad)
	}
	reply.Successful = true
	return reply
}

// Deliver gives a message that was published at another comet to the local
// subscribers that are no peers, and to the listeners here. Its caller keeps the
// order of one publisher's messages by calling in that order.
func (s *Server) Deliver(m *bayeux.Message) {
	name := bayeux.CleanChannel(m.Channel)
	if bayeux.KindOf(name) != bayeux.Broadcast || bayeux.IsWild(name) || !bayeux.ValidChannel(name) || protected(name) {
		return
	}
	// What a listener here deletes, it deletes here: the publisher has its reply.
	_ = s.publish(name, m, func(m *bayeux.Message) *Message {
		return &Message{Message: m, Forwarded: true}
	}, nil, audience{ordinary: true})
}

// publish gives a message to the listeners and then, if it is on a broadcast
// channel, to the subscribers. see makes of it what callbacks see, if there are any.
// The error is empty when nobody deleted the message.
func (s *Server) publish(name string, in *bayeux.Message, see func(*bayeux.Message) *Message, from *session, to audience) bayeux.Error {
	lazy := false
	if s.registered.listeners.Load() > 0 {
		m := see(in)
		if bad := s.notify(name, m); bad != "" {
			return bad
		}
		lazy = m.Lazy
	}
	if bayeux.KindOf(name) != bayeux.Broadcast {
		return ""
	}
	if !s.extensions.empty() && !(from != nil && from.peer) {
		m := see(in)
		if !s.outgoingMessage(&s.extensions, nil, m) {
			return bayeux.ErrorMessageDeleted
		}
		lazy = lazy || m.Lazy
	}
	flags := s.registered.flagsFor(name)
	if flags.toPublisher < 0 || flags.toPublisher == 0 && !s.cfg.BroadcastToPublisher {
		to.not = from
	}
	flags.lazy = flags.lazy || lazy
	s.broadcast(name, in, flags, to)
	return ""
}

// notify calls the listeners, the widest pattern first.
func (s *Server) notify(name string, m *Message) bayeux.Error {
	for _, pattern := range slices.Backward(bayeux.Covering(name)) {
		for _, l := range s.registered.of(pattern).listeners {
			bad := bayeux.ErrorInternal
			s.guard("a listener", func() { bad = l.call(m) })
			if bad != "" {
				return bad
			}
		}
	}
	return ""
}

// broadcast gives a message to subscribers. It is encoded once; only those with
// extensions of their own that see it get an encoding of their own.
func (s *Server) broadcast(name string, m *bayeux.Message, f flags, to audience) {
	copies, full, extended := s.channels.fanOut(name, to, func() *outgoing {
		return &outgoing{json: m.AppendBroadcast(nil), lazy: f.wait(s.cfg.MaxLazyTimeout)}
	})
	for _, session := range extended {
		own := *m
		seen := &Message{Message: &own, Lazy: f.lazy}
		if !s.outgoingMessage(session.extensions(), session.handle(), seen) {
			continue
		}
		if why, ok := session.enqueue(&outgoing{json: own.AppendBroadcast(nil), lazy: flags{lazy: seen.Lazy, lazyTimeout: f.lazyTimeout}.wait(s.cfg.MaxLazyTimeout)}); !ok {
			full = append(full, overflow{session, why})
			continue
		}
		copies++
	}
	s.stats.deliveries.Add(float64(copies))
	for _, o := range full {
		s.overflow(o.session, o.why)
	}
}
