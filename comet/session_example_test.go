package comet_test

import (
	"fmt"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/comet"
)

// members decides on handshakes alone: those need a token.
type members struct{ comet.DefaultPolicy }

func (members) CanHandshake(s *comet.Session, m *comet.Message) comet.Decision {
	switch token := m.ExtField("token").Text(); {
	case s.Local():
		return comet.Allow()
	case token == "" && m.Header("Authorization") == "":
		return comet.Deny("no token")
	default:
		s.SetAttribute("token", token)
		return comet.Decision{Allowed: true, Ext: `{"welcome":true}`}
	}
}

// CanPublish keeps one channel for the program's own clients.
func (members) CanPublish(s *comet.Session, channel string, _ *comet.Message) comet.Decision {
	return comet.Decision{Allowed: channel != "/announcements" || s.Local()}
}

// A security policy that overrides two decisions of the default one.
func ExampleServer_SetPolicy() {
	server := newServer()
	server.SetPolicy(members{})
	fmt.Println(newSession(server).Publish("/announcements", "open"))
	// Output: <nil>
}

// Sessions that come and go, and what the program keeps with them.
func ExampleServer_AddSessionListener() {
	server := newServer()
	server.AddSessionListener(comet.SessionListener{
		Added: func(s *comet.Session, m *comet.Message) {
			s.SetAttribute("user", m.ExtField("user").Text())
			fmt.Println("hello", s.Attribute("user"))
		},
		Removed: func(s *comet.Session, why comet.Cause) { fmt.Println("goodbye", s.Attribute("user"), why) },
	})
	client := server.NewLocalSession()
	client.Handshake(`{"user":"ann"}`)
	client.Disconnect()
	client.Handshake(`{"user":"bob"}`)
	client.Session().Disconnect()
	// Output:
	// hello ann
	// goodbye ann client
	// hello bob
	// goodbye bob server
}

// A message for one session, whatever it has subscribed to.
func ExampleSession_Deliver() {
	server := newServer()
	client := newSession(server)
	heard := make(chan bayeux.RawJSON)
	client.Subscribe("/service/you", func(m *bayeux.Message) { heard <- m.Data })

	session := client.Session() // of a remote client: server.Session(id), or what a callback got
	session.Batch(func() {
		session.Deliver("/service/you", "first")
		session.Deliver("/service/you", bayeux.RawJSON(`{"second":true}`))
	})
	fmt.Println(<-heard, <-heard)
	// Output: "first" {"second":true}
}

// An extension that counts what comes in, and marks the replies.
func ExampleServer_AddExtension() {
	server := newServer()
	count := 0
	remove := server.AddExtension(comet.Extension{
		Incoming: func(m *comet.Message) bool {
			count++
			return true
		},
		Reply: func(m *comet.Message) bool {
			m.Reply.SetExt("served", `"here"`)
			return true
		},
		Outgoing: func(to *comet.Session, m *comet.Message) bool {
			m.SetExt("count", bayeux.RawJSON(fmt.Sprint(count)))
			return true
		},
	})
	client := newSession(server)
	heard := make(chan bayeux.RawJSON)
	client.Subscribe("/a", func(m *bayeux.Message) { heard <- m.Ext })
	client.Publish("/a", 1)
	fmt.Println(<-heard)
	remove()
	client.Publish("/a", 1)
	fmt.Println(<-heard == "", count)
	// Output:
	// {"count":3}
	// true 3
}
