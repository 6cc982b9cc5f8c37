package comet

import (
	"net"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// transport is how a request came.
type transport uint8

const (
	longPolling transport = iota
	callbackPolling
	webSocket
)

var transportNames = [...]string{"long-polling", "callback-polling", "websocket"}

func (t transport) String() string { return name(transportNames[:], int(t)) }

// exchange is one HTTP request or WebSocket frame while its messages are handled,
// in their order and one after the other.
type exchange struct {
	// fixed after construction
	srv       *Server
	transport transport
	plain     bool // neither JSONP nor sent by a web page: may be a peer
	remote    net.Addr
	request   *request      // nil when no callback could ask for it
	local     *LocalSession // that speaks, nil for a remote client
	sock      *socket       // nil over HTTP
	alone     bool          // there is only one message
	cookie    string        // the value of the browser cookie; empty over WebSocket

	// owned by the goroutine that handles the request
	session  *session // chosen by the first message, as in CometD; nil: unknown
	replies  []bayeux.Reply
	connects []connect
	shook    bool        // a handshake succeeded
	minted   string      // the cookie that its client is to have, if it brought none
	greeting []*outgoing // what goes with the reply to a handshake
	after    []func()    // to be done when the replies are under way
	current  *Message    // the message in work, once a callback has seen it
}

// connect is a /meta/connect that was accepted. Its reply comes last.
type connect struct {
	reply   bayeux.Reply
	hold    time.Duration // how long it may be held; 0: answer at once
	turn    int           // its place among the connects of the session
	message *Message      // for the extensions that see the reply; nil: none do
}

// handle takes all messages of a request.
func (x *exchange) handle(messages []bayeux.Message) {
	for i := range messages {
		in := &messages[i]
		x.current = nil
		reply, held := x.take(in)
		if bayeux.KindOf(in.Channel) == bayeux.Meta && in.Channel != bayeux.MetaConnect && reply.Ext == "" && x.session != nil && x.session.acknowledged() {
			reply.Ext = "{}" // as CometD's extension, whose clients may look for it
		}
		if reply.Error != "" {
			x.srv.stats.failed(reply.Error)
		}
		switch {
		case held != nil:
			held.message = x.seen()
			x.connects = append(x.connects, *held)
		case in.Channel == bayeux.MetaConnect:
			x.connects = append(x.connects, connect{reply: reply, message: x.seen()})
		default:
			if reply, ok := x.srv.outgoingReply(x.current, x.sender(), reply); ok {
				x.replies = append(x.replies, reply)
			}
		}
	}
}

// seen is the message in work when extensions are to see its reply.
func (x *exchange) seen() *Message {
	if !x.extended() {
		return nil
	}
	return x.current
}

// sender is the session of the message in work: in a handshake, the new one.
func (x *exchange) sender() *session {
	if x.current != nil && x.current.From != nil {
		return (*session)(x.current.From)
	}
	return x.session
}

// take handles one message: the checks that come before all others, in CometD's
// order, then the extensions, then what its channel is for.
func (x *exchange) take(in *bayeux.Message) (bayeux.Reply, *connect) {
	reply := bayeux.ReplyTo(in)
	switch {
	case in.Channel == "":
		return reply.Fail(bayeux.ErrorChannelMissing), nil
	case !bayeux.ValidChannel(in.Channel):
		return reply.Fail(bayeux.ErrorChannelInvalid), nil
	case in.HasID && x.srv.cfg.ValidateMessageFields && !bayeux.ValidID(in.ID):
		return reply.Fail(bayeux.ErrorMessageIDInvalid), nil
	case in.Channel == bayeux.MetaHandshake:
		return x.handshake(in, reply), nil
	}
	if x.extended() {
		channel := in.Channel
		var ok bool
		if reply, ok = x.srv.incoming(x.message(in), x.session, reply); !ok {
			return reply, nil
		}
		if in.Channel != channel && (!bayeux.ValidChannel(in.Channel) || bayeux.KindOf(in.Channel) != bayeux.KindOf(channel)) {
			return reply.Fail(bayeux.ErrorChannelInvalid), nil
		}
	}
	switch {
	case x.srv.refuses(x.session), x.session == nil, in.ClientID != x.session.id:
		return x.unknown(in, reply), nil
	case in.Channel == bayeux.MetaConnect:
		return x.connect(in, reply)
	case !x.session.message():
		return x.unknown(in, reply), nil
	}
	switch in.Channel {
	case bayeux.MetaSubscribe:
		return x.subscribe(in, reply), nil
	case bayeux.MetaUnsubscribe:
		return x.unsubscribe(in, reply), nil
	case bayeux.MetaDisconnect:
		return x.disconnect(reply), nil
	}
	return x.publish(in, reply), nil
}

// extended tells whether extensions see the messages of this exchange: those of
// other comets they do not.
func (x *exchange) extended() bool {
	if x.session != nil && x.session.peer {
		return false
	}
	return !x.srv.extensions.empty() || !x.session.extensions().empty()
}

// unknown is the reply to a message of no session, or to any while the comet
// leaves. Only /meta/connect gets advice, as in CometD.
func (x *exchange) unknown(m *bayeux.Message, reply bayeux.Reply) bayeux.Reply {
	reply = reply.Fail(bayeux.ErrorSessionUnknown)
	if m.Channel == bayeux.MetaConnect {
		reply.Advice = x.srv.rehandshake()
		if x.session != nil && x.session.endedByServer() {
			// An extension ended it just now, and the goodbye goes with this answer.
			reply.Advice = denied()
		}
	}
	return reply
}
