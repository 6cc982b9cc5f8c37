package comet

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// Session is a client of the server: remote, or local ([LocalSession]). The pointer
// is the session's for its whole life, so it may be a key, and compared. Its methods
// may be called from any goroutine, and from callbacks, and go on working when the
// session has ended, to no effect.
type Session session

func (s *session) handle() *Session { return (*Session)(s) }

// Session is the live session with that clientId, or nil. Other comets have none.
func (s *Server) Session(id string) *Session {
	if found := s.sessions.find(id); found != nil && !found.peer {
		return found.handle()
	}
	return nil
}

// AllSessions are the live sessions of clients, in no order.
func (s *Server) AllSessions() []*Session {
	var all []*Session
	for _, one := range s.sessions.all() {
		if !one.peer {
			all = append(all, one.handle())
		}
	}
	return all
}

// ID is the clientId. Whoever knows it can speak for the session.
func (h *Session) ID() string { return h.id }

// Local tells whether it is that of a [LocalSession].
func (h *Session) Local() bool { return h.local != nil }

// State is where the session stands.
func (h *Session) State() State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}

// Transport is how the client came last to handshake or to connect: "websocket",
// "long-polling" or "callback-polling". Empty of a local session.
func (h *Session) Transport() string {
	if h.Local() {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.via.String()
}

// SetTimeout gives the session a timeout of its own in place of that of Config, from
// its next connect on. A negative one gives it that of Config again.
func (h *Session) SetTimeout(d time.Duration) {
	(*session)(h).tune(func(t *tuning) { t.timeout = d })
}

// SetInterval does the same for the interval.
func (h *Session) SetInterval(d time.Duration) {
	(*session)(h).tune(func(t *tuning) { t.interval = d })
}

// SetMaxInterval does the same for the maxInterval, where 0 stands for a negative one, too.
func (h *Session) SetMaxInterval(d time.Duration) {
	(*session)(h).tune(func(t *tuning) { t.maxInterval = d })
}

// SetMetaConnectDeliverOnly makes messages leave with the replies to connects and
// with nothing else, or again as soon as they can. Sessions with the ack extension
// stay as they are, and so do local ones, which never connect.
func (h *Session) SetMetaConnectDeliverOnly(only bool) { (*session)(h).setConnectOnly(only) }

// RemoteAddr is the address of the connection over which the session was made: that
// of a balancer or proxy, if there is one. Nil of a local session.
func (h *Session) RemoteAddr() net.Addr { return h.remote }

// Subscriptions are the channels and patterns to which the session has subscribed,
// sorted.
func (h *Session) Subscriptions() []string { return h.srv.channels.subscriptionsOf((*session)(h)) }

// ErrEnded is what is returned about a session that has ended.
var ErrEnded = errors.New("the session has ended")

// ErrFull is what is returned about a message for which the session had no room, where
// such messages are dropped (Config.FullQueue).
var ErrFull = errors.New("the queue of the session is full")

// Deliver puts a message into the queue of the session, whether it has subscribed
// to channel or not. data is as for [Channel.Publish]. Extensions see it.
func (h *Session) Deliver(channel string, data any) error {
	in, err := newMessage(channel, data)
	if err != nil {
		return fmt.Errorf("comet: deliver: %w", err)
	}
	if !bayeux.ValidChannel(channel) || bayeux.IsWild(channel) {
		return fmt.Errorf("comet: deliver to %q: %w", channel, bayeux.ErrChannel)
	}
	return h.deliver(&Message{Message: in})
}

func (h *Session) deliver(m *Message) error {
	s := (*session)(h)
	if !h.State().live() {
		return fmt.Errorf("comet: deliver: %w", ErrEnded)
	}
	if !h.srv.outgoingMessage(&h.srv.extensions, h, m) || !h.srv.outgoingMessage(s.extensions(), h, m) {
		return fmt.Errorf("comet: deliver: %w", ErrDeleted)
	}
	lazy := flags{lazy: m.Lazy}.wait(h.srv.cfg.MaxLazyTimeout)
	if why, ok := s.enqueue(&outgoing{json: []byte(m.Raw), lazy: lazy}); !ok {
		if h.srv.overflow(s, why) {
			return fmt.Errorf("comet: deliver: %w", ErrEnded)
		}
		return fmt.Errorf("comet: deliver: %w", ErrFull)
	}
	h.srv.stats.deliveries.Inc()
	return nil
}

// Disconnect ends the session: its client gets a /meta/disconnect without an id, and
// its connect is answered with advice none, so it does not come again (CometD's
// ServerSession.disconnect).
func (h *Session) Disconnect() { h.srv.expel((*session)(h)) }

// Batch calls fn; what it delivers to the session leaves, over HTTP, in one answer.
// Over WebSocket frames leave as they come.
func (h *Session) Batch(fn func()) {
	s := (*session)(h)
	s.begin()
	defer s.end()
	fn()
}

// Attribute is what was set under that name, or nil.
func (h *Session) Attribute(name string) any {
	x := h.extras.Load()
	if x == nil {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.attributes[name]
}

// SetAttribute keeps something with the session, under a name; nil removes it.
func (h *Session) SetAttribute(name string, value any) {
	x := (*session)(h).extra()
	x.mu.Lock()
	defer x.mu.Unlock()
	if value == nil {
		delete(x.attributes, name)
		return
	}
	if x.attributes == nil {
		x.attributes = make(map[string]any)
	}
	x.attributes[name] = value
}

// AddExtension makes e see what the session sends and gets from now on, until the
// result is called.
func (h *Session) AddExtension(e Extension) (remove func()) {
	return (*session)(h).extra().extensions.add(e)
}

// OnRemoved calls f when the session has ended, or now if it has.
func (h *Session) OnRemoved(f func(*Session, Cause)) {
	x := (*session)(h).extra()
	x.mu.Lock()
	cause := x.cause
	if cause == "" {
		x.removed = append(x.removed, f)
	}
	x.mu.Unlock()
	if cause != "" {
		h.srv.guard("a session listener", func() { f(h, cause) })
	}
}

// extras is what few sessions have.
type extras struct {
	extensions list[Extension]

	mu sync.Mutex
	// guarded by mu
	attributes map[string]any
	removed    []func(*Session, Cause)
	cause      Cause // when it has ended

	calls calls // has a lock of its own
}

// extra makes the extras when they are first needed.
func (s *session) extra() *extras {
	if x := s.extras.Load(); x != nil {
		return x
	}
	s.extras.CompareAndSwap(nil, new(extras))
	return s.extras.Load()
}

// rewrites tells whether extensions of the session see what it gets.
func (s *session) rewrites() bool {
	return slices.ContainsFunc(s.extensions().all(), func(e *entry[Extension]) bool { return e.call.Outgoing != nil })
}

// extensions of no session are none.
func (s *session) extensions() *list[Extension] {
	if s == nil {
		return nil
	}
	if x := s.extras.Load(); x != nil {
		return &x.extensions
	}
	return nil
}
