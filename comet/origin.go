package comet

// origin is where a session began. It is kept only where something depends on it.
type origin struct {
	browser string  // by the cookie of its handshake, minted or adopted; empty over WebSocket
	sock    *socket // of its handshake, nil over HTTP
}

// begun notes where the session began, if that is ever asked for.
func (s *session) begun(o origin) {
	if s.srv.cfg.TrustClientSession && !s.srv.cfg.RequireHandshakePerConnection {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.origin = &o
}

// find is the session for which a clientId speaks on this connection, nil for none.
// Who knows a clientId may speak for it, unless the comet is told to be stricter: over
// HTTP by TrustClientSession (the cookie is to be that of the handshake), over
// WebSocket by RequireHandshakePerConnection (so is the socket).
func (x *exchange) find(id string) *session {
	s := x.srv.sessions.find(id)
	if s == nil || s.peer {
		return s
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch cfg := &x.srv.cfg; {
	case x.sock == nil && !cfg.TrustClientSession && (s.origin == nil || s.origin.browser == "" || s.origin.browser != browserOf(x.cookie)),
		x.sock != nil && cfg.RequireHandshakePerConnection && (s.origin == nil || s.origin.sock != x.sock):
		return nil
	}
	return s
}
