package comet

import (
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// transport is how a request came.
type transport int

const (
	longPolling transport = iota
	callbackPolling
	webSocket
)

// connectionTypes is what handshake replies announce, in CometD's order.
var connectionTypes = []string{"websocket", "long-polling", "callback-polling"}

// exchange is one HTTP request or WebSocket frame while its messages are handled,
// in their order and one after the other.
type exchange struct {
	// fixed after construction
	srv       *Server
	transport transport
	plain     bool    // neither JSONP nor sent by a web page: may be a peer
	sock      *socket // nil over HTTP
	alone     bool    // there is only one message

	// owned by the goroutine that handles the request
	session  *session // chosen by the first message, as in CometD; nil: unknown
	replies  []bayeux.Reply
	connects []connect
	shook    bool     // a handshake succeeded
	after    []func() // to be done when the replies are under way
}

// connect is a /meta/connect that was accepted. Its reply comes last.
type connect struct {
	reply bayeux.Reply
	hold  time.Duration // how long it may be held; 0: answer at once
}

// handle takes all messages of a request.
func (x *exchange) handle(messages []bayeux.Message) {
	for i := range messages {
		m := &messages[i]
		reply, held := x.message(m)
		if reply.Error != "" {
			x.srv.stats.errors.WithLabelValues(string(reply.Error)).Inc()
		}
		switch {
		case held != nil:
			x.connects = append(x.connects, *held)
		case m.Channel == bayeux.MetaConnect:
			x.connects = append(x.connects, connect{reply: reply})
		default:
			x.replies = append(x.replies, reply)
		}
	}
}

// message handles one message: the checks that come before all others, in
// CometD's order, then what its channel is for.
func (x *exchange) message(m *bayeux.Message) (bayeux.Reply, *connect) {
	reply := bayeux.ReplyTo(m)
	switch {
	case m.Channel == "":
		return reply.Fail(bayeux.ErrorChannelMissing), nil
	case !bayeux.ValidChannel(m.Channel):
		return reply.Fail(bayeux.ErrorChannelInvalid), nil
	case m.HasID && !bayeux.ValidID(m.ID):
		return reply.Fail(bayeux.ErrorMessageIDInvalid), nil
	case m.Channel == bayeux.MetaHandshake:
		return x.handshake(m, reply), nil
	case x.srv.refuses(x.session), x.session == nil, m.ClientID != x.session.id:
		return x.unknown(m, reply), nil
	case m.Channel == bayeux.MetaConnect:
		return x.connect(m, reply)
	case !x.session.message():
		return x.unknown(m, reply), nil
	}
	switch m.Channel {
	case bayeux.MetaSubscribe:
		return x.subscribe(m, reply), nil
	case bayeux.MetaUnsubscribe:
		return x.unsubscribe(m, reply), nil
	case bayeux.MetaDisconnect:
		return x.disconnect(reply), nil
	}
	return x.publish(m, reply), nil
}

// unknown is the reply to a message of no session, or to any while the comet
// leaves. Only /meta/connect gets advice, as in CometD.
func (x *exchange) unknown(m *bayeux.Message, reply bayeux.Reply) bayeux.Reply {
	reply = reply.Fail(bayeux.ErrorSessionUnknown)
	if m.Channel == bayeux.MetaConnect {
		reply.Advice = x.srv.rehandshake()
	}
	return reply
}
