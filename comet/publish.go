package comet

import "github.com/halleycomet/halley/bayeux"

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
	s.stats.publishes.Inc()
	reply.Successful = true
	switch {
	case protected(name):
		s.cloud.PeerMessage(x.session.id, m)
	case kind == bayeux.Broadcast:
		// What comes from a peer stays here: one hop only.
		s.broadcast(name, m, audience{ordinary: true, peers: !peer})
	}
	return reply
}

// Deliver gives a message that was published at another comet to the local
// subscribers that are no peers. Its caller keeps the order of one publisher's
// messages by calling in that order.
func (s *Server) Deliver(m *bayeux.Message) {
	name := bayeux.CleanChannel(m.Channel)
	if bayeux.KindOf(name) != bayeux.Broadcast || bayeux.IsWild(name) || !bayeux.ValidChannel(name) || protected(name) {
		return
	}
	s.broadcast(name, m, audience{ordinary: true})
}

func (s *Server) broadcast(name string, m *bayeux.Message, to audience) {
	copies, full := s.channels.fanOut(name, to, func() *outgoing {
		return &outgoing{json: m.AppendBroadcast(nil)}
	})
	s.stats.deliveries.Add(float64(copies))
	for _, o := range full {
		s.cut(o.session, o.why)
	}
}
