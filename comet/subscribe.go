package comet

import (
	"strings"

	"github.com/halleycomet/halley/bayeux"
)

// meta are the meta channels that exist.
var meta = map[string]bool{
	bayeux.MetaHandshake: true, bayeux.MetaConnect: true, bayeux.MetaSubscribe: true,
	bayeux.MetaUnsubscribe: true, bayeux.MetaDisconnect: true,
}

// protected tells whether a channel or pattern belongs to the cloud: no ordinary
// session may subscribe or publish there, nor does it get anything from there
// under a wider pattern (CometD's Oort and Seti).
func protected(channel string) bool {
	return strings.HasPrefix(channel, "/oort/") || strings.HasPrefix(channel, "/seti/") || forPeers(channel)
}

// forPeers tells whether a service message is for the cloud.
func forPeers(channel string) bool {
	return channel == "/service/oort" || strings.HasPrefix(channel, "/service/oort/")
}

// subscribe handles /meta/subscribe: one channel or an array of them. An array is
// checked as a whole first; then each is subscribed, up to the first that is
// refused, and those before it stay subscribed (as in CometD).
func (x *exchange) subscribe(m *bayeux.Message, reply bayeux.Reply) bayeux.Reply {
	names, bad := subscriptions(m)
	if bad != "" {
		return reply.Fail(bad)
	}
	for _, name := range names {
		if bad := x.subscribeOne(m, name); bad != "" {
			return reply.Fail(bad)
		}
	}
	reply.Successful = true
	return reply
}

func (x *exchange) subscribeOne(m *bayeux.Message, name string) bayeux.Error {
	s, peer := x.srv, x.session.peer
	switch kind := bayeux.KindOf(name); {
	case kind == bayeux.Meta && meta[name]:
		return bayeux.Denied(bayeux.OperationSubscribe, bayeux.ReasonPolicy)
	case kind == bayeux.Meta:
		return bayeux.Denied(bayeux.OperationCreate, bayeux.ReasonPolicy)
	case protected(name) && !peer:
		return bayeux.Denied(bayeux.OperationSubscribe, bayeux.ReasonNotGranting)
	}
	if bad := x.mayReach(m, operation{OperationSubscribe, name, bayeux.OperationSubscribe}, bayeux.OperationCreate); bad != "" {
		return bad
	}
	if bayeux.KindOf(name) == bayeux.Service {
		return "" // of no effect: service messages are not fanned out
	}
	added, bad := s.channels.subscribe(x.session, peer, name)
	if bad != "" {
		return bad
	}
	s.channels.announce(s.cloud)
	if s.cloud != nil && !peer {
		s.cloud.Confirmed(s.life, name)
	}
	if added && !peer && s.listened(name) {
		s.subscribed(x.session, name, x.message(m))
	}
	return ""
}

// unsubscribe handles /meta/unsubscribe in the same way. To leave a channel that
// one is not in is fine, as long as somebody is in it.
func (x *exchange) unsubscribe(m *bayeux.Message, reply bayeux.Reply) bayeux.Reply {
	names, bad := subscriptions(m)
	if bad != "" {
		return reply.Fail(bad)
	}
	defer x.srv.channels.announce(x.srv.cloud)
	for _, name := range names {
		switch kind := bayeux.KindOf(name); {
		case meta[name]:
			return reply.Fail(bayeux.ErrorUnsubscribeFailed)
		case kind == bayeux.Service:
		default:
			left, exists := x.srv.channels.unsubscribe(x.session, name)
			switch {
			case !exists && !x.srv.registered.knows(name):
				return reply.Fail(bayeux.ErrorChannelMissing)
			case left && !x.session.peer && x.srv.listened(name):
				x.srv.unsubscribed(x.session, name, x.message(m))
			}
		}
	}
	reply.Successful = true
	return reply
}

// subscriptions reads the names in a message's subscription field. An empty array
// is a missing one; CometD's reply to it lacks successful, which breaks clients.
func subscriptions(m *bayeux.Message) ([]string, bayeux.Error) {
	if m.Subscription == "" || m.Subscription == "null" {
		return nil, bayeux.ErrorSubscriptionMissing
	}
	names, ok := m.Subscription.Strings()
	if !ok {
		return nil, bayeux.ErrorSubscriptionInvalid
	}
	if len(names) == 0 {
		return nil, bayeux.ErrorSubscriptionMissing
	}
	for i, name := range names {
		if !bayeux.ValidChannel(name) {
			return nil, bayeux.ErrorSubscriptionInvalid
		}
		names[i] = bayeux.CleanChannel(name)
	}
	return names, ""
}
