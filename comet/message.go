package comet

import (
	"maps"
	"net"

	"github.com/halleycomet/halley/bayeux"
)

// Message is one message on its way through the comet, as callbacks see it. A
// callback may keep it after it has returned, but must not change it any more then,
// nor while others may have it: a message belongs to one callback at a time.
type Message struct {
	// Message is what was sent. Change it by its methods Set and SetExt, which
	// change its text too; assigned fields are not seen by subscribers.
	*bayeux.Message

	// From is the session that sent it: in a handshake the one that is being made.
	// Nil when nobody here did: the message came from another comet, was published
	// by the program, or speaks for a session that is not known.
	From *Session

	// Forwarded tells that another comet took the message from its publisher and
	// passed it on; its callbacks have seen it there.
	Forwarded bool

	// Lazy lets the message wait for others (see [Channel.SetLazy]). A callback that
	// sees it before it is published may set it.
	Lazy bool

	// Reply is the reply to the message: of extensions only, and nil in messages that
	// have none. An extension that vetoes a message may fill it.
	Reply *bayeux.Reply

	request *request
	params  map[string]string
	values  map[any]any
}

// Header is a header of the HTTP request that brought the message, or of the
// upgrade of the WebSocket that brought it, among those in Config.RequestHeaders;
// several of one name are joined by commas. The name in any case; empty when there
// is none.
func (m *Message) Header(name string) string { return m.request.get(name) }

// Cookie is a cookie of that request; Config.RequestHeaders must have "Cookie".
func (m *Message) Cookie(name string) string { return m.request.cookie(name) }

// RemoteAddr is the address of the connection that brought the message: that of a
// balancer or proxy, if there is one. Nil when no connection brought it.
func (m *Message) RemoteAddr() net.Addr {
	if m.request == nil {
		return nil
	}
	return m.request.remote
}

// Param is the part of the channel that stands where {name} stands in the template
// of the service or call that gets the message.
func (m *Message) Param(name string) string { return m.params[name] }

// Value is what an extension noted on the message by SetValue, or nil. Keys are of
// types of the extension's own, as those of a context are.
func (m *Message) Value(key any) any { return m.values[key] }

// SetValue notes something on the message, for the callbacks that come after.
func (m *Message) SetValue(key, value any) {
	if m.values == nil {
		m.values = make(map[any]any)
	}
	m.values[key] = value
}

// withParams is a copy of the message for one service or call.
func (m *Message) withParams(params map[string]string) *Message {
	copied := *m
	copied.params, copied.Reply, copied.values = params, nil, maps.Clone(m.values)
	return &copied
}

// message is m as callbacks see it: one object for all of them, made for the first.
func (x *exchange) message(m *bayeux.Message) *Message {
	if x.current == nil || x.current.Message != m {
		x.current = &Message{Message: m, request: x.request}
		switch {
		case x.session == nil || m.ClientID != x.session.id:
		case x.session.peer:
			x.current.Forwarded = true
		default:
			x.current.From = x.session.handle()
		}
	}
	return x.current
}
