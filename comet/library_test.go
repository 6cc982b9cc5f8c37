package comet

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/halleycomet/halley/bayeux"
)

// channel is a handle, or the end of the test.
func (f *fixture) channel(name string) *Channel {
	f.tb.Helper()
	c, err := f.Channel(name)
	if err != nil {
		f.tb.Fatal(err)
	}
	return c
}

func TestListeners(t *testing.T) {
	f := built(t, nil)
	var order []string
	note := func(name string) Listener {
		return func(m *Message) bool {
			order = append(order, name)
			if m.From == nil || m.Forwarded || m.ClientID != m.From.ID() {
				t.Errorf("%s: %+v", name, m)
			}
			switch m.Data {
			case `"delete"`:
				return false
			case `"fault"`:
				panic("a fault")
			case `"change"`:
				m.Set("data", `"changed"`)
			}
			return true
		}
	}
	var remove []func()
	for _, name := range []string{"/a/b", "/**", "/a/*", "/a/**", "/a/b"} {
		remove = append(remove, f.channel(name).AddListener(note(name)))
	}
	id := f.connected("/a/b")
	publish := func(data string) string {
		return f.post(id, `[{"channel":"/a/b","clientId":"%","id":"1","data":`+data+`}]`)
	}
	mustBe(t, publish("1"), `[{"channel":"/a/b","data":1},{"id":"1","channel":"/a/b","successful":true}]`)
	mustBe(t, strings.Join(order, " "), "/** /a/** /a/* /a/b /a/b")
	mustBe(t, publish(`"change"`), `[{"channel":"/a/b","data":"changed"},{"id":"1","channel":"/a/b","successful":true}]`)
	order = nil
	mustBe(t, publish(`"delete"`), `[{"id":"1","channel":"/a/b","successful":false,"error":"404::message_deleted"}]`)
	mustBe(t, strings.Join(order, " "), "/**")
	mustBe(t, publish(`"fault"`), `[{"id":"1","channel":"/a/b","successful":false,"error":"500::internal_error"}]`)
	for _, f := range remove {
		f()
		f() // twice is once
	}
	mustHold(t, publish(`"fault"`), `"successful":true`)
	if f.observed() {
		t.Error("something is left")
	}
}

func TestListenersOfTheCloud(t *testing.T) {
	f := built(t, nil)
	var got []*Message
	f.channel("/a").AddListener(func(m *Message) bool { got = append(got, m); return m.Data != "0" })
	id := f.connected("/a")
	for _, data := range []string{"0", "1"} {
		m, _ := newMessage("/a", bayeux.RawJSON(data))
		f.Deliver(m)
	}
	if len(got) != 2 || !got[1].Forwarded || got[1].From != nil {
		t.Errorf("%+v", got)
	}
	mustBe(t, f.post(id, `[{"channel":"/meta/connect","clientId":"%"}]`)[:24], `[{"channel":"/a","data":`)
	if n := len(f.Session(id).Subscriptions()); n != 1 {
		t.Errorf("%d subscriptions", n)
	}
}

func TestChannelPublish(t *testing.T) {
	f := built(t, nil)
	f.SetPolicy(strict{publish: func(*Session, string, *Message) Decision { return Deny("") }})
	a := f.channel("/a/")
	id, other := f.connected("/a"), f.connected("/**")
	if err := a.Publish(nil, map[string]int{"n": 1}); err != nil {
		t.Fatal(err)
	}
	a.SetBroadcastToPublisher(false)
	if err := a.Publish(f.Session(id), "two"); err != nil {
		t.Fatal(err)
	}
	take := func(id string) string {
		return f.post(id, `[{"channel":"/meta/subscribe","clientId":"%","subscription":"/x"}]`)
	}
	mustHold(t, take(id), `[{"channel":"/a","data":{"n":1}},{"channel":"/meta`)
	mustHold(t, take(other), `[{"channel":"/a","data":{"n":1}},{"channel":"/a","data":"two"},{"channel":"/meta`)
	if n := len(a.Subscribers()); n != 1 || a.Subscribers()[0].ID() != id {
		t.Errorf("%d subscribers", n)
	}
	a.AddListener(func(*Message) bool { return false })
	if err := a.Publish(nil, 3); !errors.Is(err, ErrDeleted) {
		t.Errorf("%v", err)
	}
	if err := a.Publish(nil, func() {}); err == nil {
		t.Error("a function was published")
	}
	for _, name := range []string{"/meta/connect", "/a/*"} {
		if err := f.channel(name).Publish(nil, 1); !errors.Is(err, bayeux.ErrChannel) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := f.Channel("a"); !errors.Is(err, bayeux.ErrChannel) {
		t.Errorf("%v", err)
	}
}

func TestSessionListeners(t *testing.T) {
	f := built(t, nil)
	events := make(chan string, 20)
	remove := f.AddSessionListener(SessionListener{
		Added: func(s *Session, m *Message) {
			s.OnRemoved(func(_ *Session, why Cause) { events <- "own " + string(why) })
			events <- "added " + string(m.ExtField("n")) + fmt.Sprint(f.Session(s.ID()) == s, s.State())
		},
		Removed: func(s *Session, why Cause) { events <- "removed " + string(why) + fmt.Sprint(len(s.Subscriptions())) },
	})
	f.AddSessionListener(SessionListener{Added: func(*Session, *Message) { panic("a fault") }})
	f.AddSubscriptionListener(SubscriptionListener{
		Subscribed:   func(s *Session, channel string, m *Message) { events <- "in " + channel + fmt.Sprint(m.From == s) },
		Unsubscribed: func(s *Session, channel string, m *Message) { events <- "out " + channel + fmt.Sprint(m == nil) },
	})
	f.channel("/a").AddSubscriptionListener(SubscriptionListener{Subscribed: func(*Session, string, *Message) { events <- "a" }})
	next := func(want ...string) {
		t.Helper()
		for _, w := range want {
			mustBe(t, receive(t, w, events), w)
		}
	}
	id := clientID(t, f.post("?", `[{"channel":"/meta/handshake","ext":{"n":1}}]`))
	next("added 1true handshaken")
	f.post(id, `[{"channel":"/meta/subscribe","clientId":"%","subscription":["/a","/b","/a","/service/c"]}]`)
	next("in /atrue", "a", "in /btrue")
	f.post(id, `[{"channel":"/meta/unsubscribe","clientId":"%","subscription":["/b","/b"]}]`)
	next("out /bfalse")
	f.post(id, `[{"channel":"/meta/disconnect","clientId":"%"}]`)
	next("out /atrue", "own client", "removed client0")

	gone := f.Session(f.handshake())
	next("added true handshaken")
	gone.Disconnect()
	gone.Disconnect()
	next("own server", "removed server0")
	gone.OnRemoved(func(_ *Session, why Cause) { events <- "late " + string(why) })
	next("late server")

	s := f.session(f.handshake())
	next("added true handshaken")
	s.mu.Lock()
	s.deadline = s.deadline.Add(-f.cfg.MaxInterval * 2)
	s.mu.Unlock()
	next("own expired", "removed expired0")

	remove()
	f.handshake()
	select {
	case e := <-events:
		t.Errorf("after all: %s", e)
	default:
	}
}

func TestServerDisconnect(t *testing.T) {
	f := built(t, nil)
	id := f.connected()
	s := f.Session(id)
	held := f.held(id, `[{"channel":"/meta/connect","clientId":"%","id":"7"}]`)
	f.waitHeld(id)
	s.Disconnect()
	mustBe(t, receive(t, "the answer", held).body, `[{"channel":"/meta/disconnect","successful":true},{"id":"7","channel":"/meta/connect","successful":true,"advice":{"reconnect":"none","interval":0,"timeout":20000}}]`)
	if s.State() != StateDisconnected || f.Session(id) != nil {
		t.Errorf("state %v", s.State())
	}
	if err := s.Deliver("/a", 1); !errors.Is(err, ErrEnded) {
		t.Errorf("%v", err)
	}
}

func TestSessionHandle(t *testing.T) {
	f := built(t, nil)
	id := f.connected("/b", "/a")
	s := f.Session(id)
	if s.ID() != id || s.Local() || s.RemoteAddr() == nil || !slices.Equal(s.Subscriptions(), []string{"/a", "/b"}) || len(f.AllSessions()) != 1 || f.AllSessions()[0] != s {
		t.Errorf("%v %v", s.RemoteAddr(), s.Subscriptions())
	}
	s.SetAttribute("a", 1)
	s.SetAttribute("b", 2)
	s.SetAttribute("a", nil)
	if s.Attribute("a") != nil || s.Attribute("b") != 2 {
		t.Error("attributes")
	}
	held := f.held(id, `[{"channel":"/meta/connect","clientId":"%","id":"7"}]`)
	f.waitHeld(id)
	s.Batch(func() {
		for i := range 3 {
			if err := s.Deliver("/not/subscribed", i); err != nil {
				t.Error(err)
			}
		}
	})
	mustHold(t, receive(t, "the answer", held).body, `"data":0},`, `"data":1},`, `"data":2},`)
	for _, channel := range []string{"x", "/a/*"} {
		if err := s.Deliver(channel, 1); !errors.Is(err, bayeux.ErrChannel) {
			t.Errorf("%s: %v", channel, err)
		}
	}
}
