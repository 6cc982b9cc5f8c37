package comet

// Expire ends the session as if its client had not come in time: its held connect, or
// its next one, is answered with 402 and advice to handshake. Unlike [Session.Disconnect]
// this brings the client back, with a new session. What waits for it is lost, and
// counted with [DropServer]. Listeners learn [CauseExpired].
func (h *Session) Expire() {
	s, session := h.srv, (*session)(h)
	waiting, ok := s.remove(session, eventExpire, true, nil, CauseExpired)
	if !ok {
		return
	}
	session.complete(releaseCut)
	if waiting > 0 {
		s.dropped(DropServer, waiting)
	}
	s.stats.cuts.WithLabelValues(string(DropServer)).Inc()
}
