package comet

import (
	"fmt"
	"slices"
	"sync"

	"github.com/halleycomet/halley/bayeux"
)

// LocalSession is a client in the program of the server itself, as CometD's
// LocalSession is: it has a session like any other, which the policy, the
// authorizers, the listeners and the extensions see, but no connection. It never
// expires, is no load of the comet, and is not found by [Server.Session].
//
// Its methods may be called from any goroutine, and from callbacks. Errors that the
// server answered are of type [bayeux.Error].
type LocalSession struct {
	srv *Server

	mu sync.Mutex
	// guarded by mu
	session   *session // nil before the handshake
	callbacks map[string][]func(*bayeux.Message)
	draining  bool // a goroutine takes what the session got
}

// NewLocalSession makes a client without a session; see [LocalSession.Handshake].
func (s *Server) NewLocalSession() *LocalSession { return &LocalSession{srv: s} }

// Handshake makes the session. ext, which may be empty, goes with the message. Once
// a session has ended, another can be made.
func (l *LocalSession) Handshake(ext bayeux.RawJSON) error {
	if h := l.Session(); h != nil && h.State().live() {
		return fmt.Errorf("comet: local session: %w", bayeux.ErrorHandshakeFailed)
	}
	m := &bayeux.Message{Raw: "{}"}
	m.Set("channel", bayeux.String(bayeux.MetaHandshake))
	m.Set("ext", ext)
	_, err := l.send(m)
	return err
}

// Session is the session, nil before the handshake.
func (l *LocalSession) Session() *Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session.handle()
}

// Subscribe subscribes to a channel or pattern, and has f called with each message
// that comes there. All callbacks of a local session run one after the other, in a
// goroutine that is there while messages wait. If they are so slow that the queue of
// the session is full, it is cut like any other. A message is shared by all: it must
// not be changed.
func (l *LocalSession) Subscribe(channel string, f func(*bayeux.Message)) error {
	name := bayeux.CleanChannel(channel)
	l.mu.Lock()
	if l.callbacks == nil {
		l.callbacks = make(map[string][]func(*bayeux.Message))
	}
	before := l.callbacks[name]
	l.callbacks[name] = append(slices.Clip(before), f)
	l.mu.Unlock()
	_, err := l.request(bayeux.MetaSubscribe, "subscription", bayeux.String(channel))
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.callbacks[name] = before
	}
	return err
}

// Unsubscribe takes back all subscriptions to a channel or pattern.
func (l *LocalSession) Unsubscribe(channel string) error {
	l.mu.Lock()
	delete(l.callbacks, bayeux.CleanChannel(channel))
	l.mu.Unlock()
	_, err := l.request(bayeux.MetaUnsubscribe, "subscription", bayeux.String(channel))
	return err
}

// Publish publishes as a remote client does: the policy, the authorizers and the
// listeners have their say. data is as for [Channel.Publish].
func (l *LocalSession) Publish(channel string, data any) error {
	m, err := newMessage(channel, data)
	if err != nil {
		return fmt.Errorf("comet: local session: publish to %s: %w", channel, err)
	}
	_, err = l.send(m)
	return err
}

// Disconnect ends the session.
func (l *LocalSession) Disconnect() error {
	_, err := l.request(bayeux.MetaDisconnect, "", "")
	return err
}

func (l *LocalSession) request(channel, field string, value bayeux.RawJSON) (bayeux.Reply, error) {
	m := &bayeux.Message{Raw: "{}"}
	m.Set("channel", bayeux.String(channel))
	if field != "" {
		m.Set(field, value)
	}
	return l.send(m)
}

// send has a message handled as that of a remote client.
func (l *LocalSession) send(m *bayeux.Message) (bayeux.Reply, error) {
	x := &exchange{srv: l.srv, local: l, alone: true}
	l.mu.Lock()
	if m.Channel != bayeux.MetaHandshake {
		x.session = l.session
	}
	l.mu.Unlock()
	if x.session != nil {
		m.Set("clientId", bayeux.String(x.session.id))
	}
	x.handle([]bayeux.Message{*m})
	for _, f := range x.after {
		f()
	}
	if len(x.replies) == 0 {
		return bayeux.Reply{}, fmt.Errorf("comet: local session: %s: %w", m.Channel, ErrDeleted)
	}
	reply := x.replies[0]
	if !reply.Successful {
		return reply, fmt.Errorf("comet: local session: %s: %w", m.Channel, reply.Error)
	}
	return reply, nil
}

// attach makes s the session, before anybody else sees it.
func (l *LocalSession) attach(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.session, l.callbacks = s, nil
}

// wake is called, under the lock of the session, when something has come.
func (l *LocalSession) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.draining {
		l.draining = l.srv.callbacks.start(l.drain)
	}
}

func (l *LocalSession) drain() {
	for {
		session := (*session)(l.Session())
		all := session.take()
		if len(all) == 0 {
			l.mu.Lock()
			l.draining = false
			l.mu.Unlock()
			session.rekick() // for what came in between
			return
		}
		for _, o := range all {
			l.deliver(o)
		}
	}
}

// deliver calls the callbacks of the channels that match.
func (l *LocalSession) deliver(o *outgoing) {
	messages, err := bayeux.Parse(o.json)
	if err != nil || !bayeux.ValidChannel(messages[0].Channel) {
		return
	}
	for _, name := range bayeux.Covering(bayeux.CleanChannel(messages[0].Channel)) {
		l.mu.Lock()
		callbacks := l.callbacks[name]
		l.mu.Unlock()
		for _, f := range callbacks {
			l.srv.guard("a callback of a local session", func() { f(&messages[0]) })
		}
	}
}
