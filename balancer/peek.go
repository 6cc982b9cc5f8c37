package balancer

import (
	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/sticky"
)

// peek takes from the messages of a request the facts by which it is routed.
//
// The clientId is that of the first message that has one with a tag in it, else of
// the first that has one; CometD's server likewise finds the session of a request
// by the first message.
func (r *request) peek(messages []bayeux.Message) {
	tagged := false
	for i := range messages {
		m := &messages[i]
		if m.Channel == bayeux.MetaHandshake {
			r.handshake = true
			types, _ := m.SupportedConnectionTypes.Strings()
			for _, t := range types {
				r.eventSource = r.eventSource || t == "eventsource"
			}
			continue // it asks for a new session, whatever clientId it names
		}
		if m.ClientID == "" || tagged {
			continue
		}
		if _, tagged = sticky.ClientIDTag(m.ClientID); tagged || r.clientID == "" {
			r.clientID = m.ClientID
		}
	}
}
