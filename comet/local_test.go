package comet

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

func TestLocalSession(t *testing.T) {
	f := built(t, nil)
	l := f.NewLocalSession()
	if err := l.Publish("/a", 1); !errors.Is(err, bayeux.ErrorSessionUnknown) {
		t.Errorf("before the handshake: %v", err)
	}
	if err := l.Handshake(""); err != nil {
		t.Fatal(err)
	}
	if err := l.Handshake(""); !errors.Is(err, bayeux.ErrorHandshakeFailed) {
		t.Errorf("a second handshake: %v", err)
	}
	s := l.Session()
	if !s.Local() || s.RemoteAddr() != nil || f.Session(s.ID()) != nil || f.Sessions() != 0 {
		t.Errorf("%+v", s)
	}
	got := make(chan string, 10)
	hear := func(name string) func(*bayeux.Message) {
		return func(m *bayeux.Message) { got <- name + string(m.Data) }
	}
	for _, name := range []string{"/a/**", "/a/b"} {
		if err := l.Subscribe(name, hear(name+" ")); err != nil {
			t.Fatal(err)
		}
	}
	id := f.connected("/a/*")
	f.post(id, `[{"channel":"/a/b","clientId":"%","data":1}]`)
	mustBe(t, receive(t, "a message", got), "/a/b 1")
	mustBe(t, receive(t, "a message", got), "/a/** 1")
	if err := l.Publish("/a/c", 2); err != nil {
		t.Fatal(err)
	}
	mustBe(t, receive(t, "its own message", got), "/a/** 2")
	mustHold(t, f.post(id, `[{"channel":"/meta/subscribe","clientId":"%","subscription":"/x"}]`), `[{"channel":"/a/c","data":2},`)
	if err := l.Unsubscribe("/a/**"); err != nil {
		t.Fatal(err)
	}
	f.post(id, `[{"channel":"/a/c","clientId":"%","data":3},{"channel":"/a/b","clientId":"%","data":4}]`)
	mustBe(t, receive(t, "a message", got), "/a/b 4")

	f.sweep(s.deadlineForTest())
	if s.State() != StateHandshaken {
		t.Errorf("swept: %v", s.State())
	}
	if err := l.Disconnect(); err != nil {
		t.Fatal(err)
	}
	if err := l.Publish("/a", 1); !errors.Is(err, bayeux.ErrorSessionUnknown) || s.State() != StateDisconnected {
		t.Errorf("after the end: %v", err)
	}
	if err := l.Handshake(""); err != nil || l.Session() == s || len(f.Interests()) != 0 {
		t.Errorf("a new one: %v, %q", err, f.Interests())
	}
}

func (h *Session) deadlineForTest() (late time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.deadline.Add(1 << 40)
}

func TestLocalSessionsAskToo(t *testing.T) {
	f := built(t, func(s *Server) {
		s.SetPolicy(strict{
			handshake: func(s *Session, m *Message) Decision {
				return Decision{Allowed: s.Local() && m.ExtField("key") == "1"}
			},
			publish: func(s *Session, channel string, _ *Message) Decision { return Decision{Allowed: channel != "/no"} },
		})
		c, _ := s.Channel("/closed")
		c.AddAuthorizer(GrantTo(0))
		s.AddExtension(Extension{Reply: func(m *Message) bool { return m.Channel != "/silent" }})
	})
	l := f.NewLocalSession()
	if err := l.Handshake(""); !errors.Is(err, bayeux.ErrorHandshakeDenied) {
		t.Errorf("%v", err)
	}
	if err := l.Handshake(`{"key":1}`); err != nil {
		t.Fatal(err)
	}
	for channel, want := range map[string]error{
		"/no":     bayeux.Denied(bayeux.OperationPublish, bayeux.ReasonPolicy),
		"/closed": bayeux.Denied(bayeux.OperationPublish, bayeux.ReasonNotGranting),
		"/silent": ErrDeleted,
		"bad":     bayeux.ErrorChannelInvalid,
	} {
		if err := l.Publish(channel, 1); !errors.Is(err, want) {
			t.Errorf("%s: %v", channel, err)
		}
	}
	if err := l.Subscribe("/closed", nil); !errors.Is(err, bayeux.Denied(bayeux.OperationSubscribe, bayeux.ReasonNotGranting)) {
		t.Errorf("%v", err)
	}
}

func TestSlowLocalSessionIsCut(t *testing.T) {
	f := startPrepared(t, func(c *Config) { c.MaxQueue = 3 }, nil)
	l := f.NewLocalSession()
	if err := l.Handshake(""); err != nil {
		t.Fatal(err)
	}
	release, begun := make(chan struct{}), make(chan struct{}, 10)
	if err := l.Subscribe("/a", func(*bayeux.Message) { begun <- struct{}{}; <-release }); err != nil {
		t.Fatal(err)
	}
	ended := make(chan Cause, 1)
	l.Session().OnRemoved(func(_ *Session, why Cause) { ended <- why })
	a := f.channel("/a")
	for i := range 5 {
		if err := a.Publish(nil, i); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			receive(t, "the first", begun)
		}
	}
	if why := receive(t, "the end", ended); why != CauseQueue {
		t.Errorf("%v", why)
	}
	close(release)
}

// A local session never connects, so nothing can make it wait for a connect reply.
func TestLocalSessionsNeverConnect(t *testing.T) {
	f := built(t, nil)
	l := f.NewLocalSession()
	if err := l.Handshake(`{"ack":true}`); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 10)
	if err := l.Subscribe("/a", func(m *bayeux.Message) { got <- string(m.Data) }); err != nil {
		t.Fatal(err)
	}
	for _, data := range []int{1, 2} {
		if err := f.channel("/a").Publish(nil, data); err != nil {
			t.Fatal(err)
		}
		mustBe(t, receive(t, "a message", got), strconv.Itoa(data))
		l.Session().SetMetaConnectDeliverOnly(true)
	}
}
