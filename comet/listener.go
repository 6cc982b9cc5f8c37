package comet

// Cause is why a session ended.
type Cause string

const (
	// CauseClient: its client disconnected.
	CauseClient Cause = "client"
	// CauseServer: the program did; see [Session.Disconnect].
	CauseServer Cause = "server"
	// CauseExpired: its client did not come in time, or the program ended it as if that
	// were so; see [Session.Expire].
	CauseExpired Cause = "expired"
	// CauseQueue: too much waited for it.
	CauseQueue Cause = "queue"
)

// SessionListener sees sessions come and go, those of other comets not among them.
// Each function may be nil. They are called under no lock and may call everything of
// this package; one that panics is as one that returned. When the whole comet ends,
// nothing is removed.
type SessionListener struct {
	// Added is called in the goroutine that handles the handshake m, when the session
	// is made and before its client knows.
	Added func(s *Session, m *Message)

	// Removed is called once for each that was added, when it has ended and has no
	// subscriptions any more. Those that expired are removed one after the other, in
	// one goroutine: it should be quick.
	Removed func(s *Session, why Cause)
}

// SubscriptionListener sees subscriptions come and go, those of other comets not
// among them. What is said of SessionListener is true of it too. Subscriptions to
// service channels, which are of no effect, are not seen.
type SubscriptionListener struct {
	// Subscribed is called when a session has subscribed to a channel to which it had
	// not, before the reply. m is the /meta/subscribe.
	Subscribed func(s *Session, channel string, m *Message)

	// Unsubscribed is called when it has left it, or when it has ended: m is nil then.
	Unsubscribed func(s *Session, channel string, m *Message)
}

// AddSessionListener makes l see all sessions from now on, until the result is
// called.
func (s *Server) AddSessionListener(l SessionListener) (remove func()) {
	return s.sessionListeners.add(l)
}

// AddSubscriptionListener makes l see subscriptions to all channels from now on,
// until the result is called.
func (s *Server) AddSubscriptionListener(l SubscriptionListener) (remove func()) {
	return s.subscriptionListeners.add(l)
}

func (s *Server) added(session *session, m *Message) {
	for _, l := range s.sessionListeners.all() {
		if l.call.Added != nil {
			s.guard("a session listener", func() { l.call.Added(session.handle(), m) })
		}
	}
}

// removed tells of the end of a session and of its subscriptions.
func (s *Server) removed(session *session, channels []string, why Cause) {
	for _, channel := range channels {
		s.unsubscribed(session, channel, nil)
	}
	x := session.extra()
	x.mu.Lock()
	callbacks := x.removed
	x.removed, x.cause = nil, why
	x.mu.Unlock()
	x.calls.cancel()
	for _, f := range callbacks {
		s.guard("a session listener", func() { f(session.handle(), why) })
	}
	for _, l := range s.sessionListeners.all() {
		if l.call.Removed != nil {
			s.guard("a session listener", func() { l.call.Removed(session.handle(), why) })
		}
	}
}

func (s *Server) subscribed(session *session, channel string, m *Message) {
	for _, l := range s.listenersTo(channel) {
		if l.call.Subscribed != nil {
			s.guard("a subscription listener", func() { l.call.Subscribed(session.handle(), channel, m) })
		}
	}
}

func (s *Server) unsubscribed(session *session, channel string, m *Message) {
	for _, l := range s.listenersTo(channel) {
		if l.call.Unsubscribed != nil {
			s.guard("a subscription listener", func() { l.call.Unsubscribed(session.handle(), channel, m) })
		}
	}
}

// listened tells whether anybody wants to know of subscriptions to a channel.
func (s *Server) listened(channel string) bool { return len(s.listenersTo(channel)) > 0 }

// listenersTo are those of the server, then those of the channel.
func (s *Server) listenersTo(channel string) []*entry[SubscriptionListener] {
	all := s.subscriptionListeners.all()
	if s.registered.subscriptions.Load() == 0 {
		return all
	}
	return append(all[:len(all):len(all)], s.registered.of(channel).subscriptions...)
}
