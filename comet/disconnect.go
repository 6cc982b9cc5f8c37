package comet

import "github.com/halleycomet/halley/bayeux"

// disconnect handles /meta/disconnect. The session ends now. Over HTTP its held
// connect is completed after this reply is under way: CometD's JavaScript client
// gives up on its disconnect when the connect is answered first. On a WebSocket it
// is completed before, as CometD's server does it: that client closes its socket at
// this reply only if no connect is outstanding, and never later.
func (x *exchange) disconnect(reply bayeux.Reply) bayeux.Reply {
	session := x.session
	if _, ok := x.srv.remove(session, eventEnd, false, nil, CauseClient); ok {
		if x.transport == webSocket {
			session.complete(releaseEnded)
		} else {
			x.after = append(x.after, func() { session.complete(releaseEnded) })
		}
		x.srv.gone(session, true)
	}
	reply.Successful = true
	return reply
}

// disconnected is what tells a client that the server ended its session. It has
// no id: that is how CometD's clients know it from a reply.
var disconnected = &outgoing{json: []byte(`{"channel":"` + bayeux.MetaDisconnect + `","successful":true}`)}
