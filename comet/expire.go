package comet

// Expire ends the session as if its client had not come in time: its held connect, or
// its next one, is answered with 402 and advice to handshake. Unlike [Session.Disconnect]
// this brings the client back, with a new session. Listeners learn [CauseExpired].
func (h *Session) Expire() {
	session := (*session)(h)
	waiting, ok := h.srv.remove(session, eventExpire, true, nil, CauseExpired)
	if !ok {
		return
	}
	session.complete(releaseCut)
	if waiting > 0 {
		h.srv.dropped(DropExpired, waiting)
	}
}
