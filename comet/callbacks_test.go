package comet

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// everywhere calls everything of a comet from each kind of callback.
type everywhere struct {
	f    *fixture
	busy atomic.Bool // what is called from a callback has callbacks itself

	mu   sync.Mutex
	seen map[string]int
}

func (e *everywhere) call(where string, session *Session) {
	if !e.busy.CompareAndSwap(false, true) {
		return
	}
	defer e.busy.Store(false)
	e.mu.Lock()
	e.seen[where]++
	e.mu.Unlock()
	f := e.f
	c := f.channel("/from/callbacks")
	c.AddListener(func(*Message) bool { return true })()
	c.AddAuthorizer(GrantTo(OperationPublish))()
	c.SetPersistent(true)
	c.Publish(session, where)
	c.Subscribers()
	f.AddExtension(Extension{})()
	f.AddSessionListener(SessionListener{})()
	if session != nil {
		session.SetAttribute("a", session.Attribute("a"))
		session.Batch(func() { session.Deliver("/from/callbacks", where) })
		session.Subscriptions()
		session.State()
		session.SetTimeout(-1)
		session.AddExtension(Extension{})()
		session.OnRemoved(func(*Session, Cause) {})
	}
	for _, s := range f.AllSessions() {
		s.Transport()
	}
	l := f.NewLocalSession()
	l.Handshake("")
	l.Subscribe("/from/callbacks", func(*bayeux.Message) {})
	l.Publish("/from/callbacks", where)
	l.Session().Disconnect()
}

func (e *everywhere) decide(where string) func(*Session, string, *Message) Decision {
	return func(s *Session, _ string, _ *Message) Decision { e.call(where, s); return Allow() }
}

func (e *everywhere) extension(where string) Extension {
	return Extension{
		Incoming: func(m *Message) bool { e.call(where+" incoming", m.From); return true },
		Reply:    func(m *Message) bool { e.call(where+" reply", m.From); return true },
		Outgoing: func(to *Session, _ *Message) bool { e.call(where+" outgoing", to); return true },
	}
}

func (e *everywhere) install(t *testing.T, s *Server) {
	s.SetPolicy(strict{
		handshake: func(s *Session, _ *Message) Decision { e.call("handshake", s); return Allow() },
		create:    e.decide("create"), subscribe: e.decide("subscribe"), publish: e.decide("publish"),
	})
	all, err := s.Channel("/**")
	if err != nil {
		t.Fatal(err)
	}
	all.AddListener(func(m *Message) bool { e.call("listener", m.From); return true })
	all.AddAuthorizer(func(_ Operation, _ string, s *Session, _ *Message) Verdict { e.call("authorizer", s); return Grant() })
	s.AddSessionListener(SessionListener{
		Added:   func(s *Session, _ *Message) { e.call("added", s); s.AddExtension(e.extension("session")) },
		Removed: func(s *Session, _ Cause) { e.call("removed", s) },
	})
	s.AddSubscriptionListener(SubscriptionListener{
		Subscribed:   func(s *Session, _ string, _ *Message) { e.call("subscribed", s) },
		Unsubscribed: func(s *Session, _ string, _ *Message) { e.call("unsubscribed", s) },
	})
	s.AddExtension(e.extension("server"))
	if _, err := s.HandleService("/service/s", func(m *Message) (any, error) { e.call("service", m.From); return 1, nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.HandleCall("c", func(_ context.Context, m *Message) (any, error) { e.call("call", m.From); return 1, nil }); err != nil {
		t.Fatal(err)
	}
}

// Callbacks run under no lock: each may call everything, for clients of each kind.
func TestCallbacksMayCallEverything(t *testing.T) {
	e := &everywhere{seen: make(map[string]int)}
	e.busy.Store(true)
	f := startPrepared(t, nil, func(s *Server) { e.install(t, s) })
	e.f = f
	e.busy.Store(false)

	const publishes = `[{"channel":"/a","clientId":"%","data":1},{"channel":"/service/s","clientId":"%","data":1},{"channel":"/service/c","clientId":"%","id":"1","data":1},` +
		`{"channel":"/meta/unsubscribe","clientId":"%","subscription":"/b"}]`
	// One callback at a time does it, and the others pass: by chance one may have its
	// turn late.
	for began := time.Now(); e.missing() != "" && time.Since(began) < patience; {
		id := f.connected("/a", "/b")
		f.post(id, publishes)
		held := f.held(id, `[{"channel":"/meta/connect","clientId":"%","advice":{"timeout":1}}]`)
		receive(t, "the answer", held)
		f.post(id, `[{"channel":"/meta/disconnect","clientId":"%"}]`)

		c := f.ws()
		c.say(`[{"channel":"/meta/handshake"}]`)
		c.id = clientID(t, c.hear())
		c.say(`[{"channel":"/meta/connect","clientId":"%"}]`)
		c.say(`[{"channel":"/meta/subscribe","clientId":"%","subscription":["/a","/b"]}]`)
		c.say(publishes)
		c.say(`[{"channel":"/meta/connect","clientId":"%","id":"held"}]`)
		c.say(`[{"channel":"/meta/disconnect","clientId":"%","id":"last"}]`)
		for !strings.HasPrefix(c.hear(), `[{"id":"last"`) {
		}
		c.Close()

		l := f.NewLocalSession()
		if err := l.Handshake(""); err != nil {
			t.Fatal(err)
		}
		heard := make(chan struct{}, 100)
		if err := l.Subscribe("/a", func(*bayeux.Message) { e.call("local", l.Session()); heard <- struct{}{} }); err != nil {
			t.Fatal(err)
		}
		if err := l.Publish("/a", 1); err != nil {
			t.Fatal(err)
		}
		receive(t, "a message", heard)
		if err := l.Disconnect(); err != nil {
			t.Fatal(err)
		}
	}
	if where := e.missing(); where != "" {
		t.Errorf("nothing was called from %s", where)
	}
}

// missing is from where nothing has been called yet.
func (e *everywhere) missing() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, where := range []string{
		"handshake", "create", "subscribe", "publish", "listener", "authorizer", "added", "removed", "subscribed", "unsubscribed",
		"server incoming", "server reply", "server outgoing", "session incoming", "session reply", "session outgoing", "service", "call", "local",
	} {
		if e.seen[where] == 0 {
			return where
		}
	}
	return ""
}
