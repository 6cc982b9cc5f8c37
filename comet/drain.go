package comet

import (
	"context"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

const (
	// drainPause is how long Drain waits before it looks again at the sessions that
	// could not be told yet.
	drainPause = 20 * time.Millisecond
	// drainShare is the part of the time given to Drain in which each session has its
	// turn, so that whoever cannot be told at once has some time, too.
	drainShare = 0.75
	// drainGrace is how long a client that holds no connect has for its next one.
	// Who is silent for longer, and has nothing waiting, need not be told.
	drainGrace = 2 * time.Second
)

// Drain sends the clients away, in order and at a bounded rate, and returns how many
// could not be told: none, unless ctx ends before. From its beginning handshakes are
// refused, with advice to handshake elsewhere; sessions are served as ever until
// their turn. Then
//
//   - a held connect is answered with 402 and advice to handshake, and with it what
//     waits for the session;
//   - a socket gets what waits for its session and is closed with 1012;
//   - the next connect of any other session is answered so. A client that does not
//     come for one is not waited for when nothing waits for it.
//
// A session with the ack extension is told only when everything is acknowledged.
// What a client has sent already when it is told is still taken.
//
// The rate is Config.DrainRate, or what it takes to be done by ctx's deadline. Other
// comets, which are peers, are not sent away: what clients publish until their turn
// still goes out to them. Drain is followed by [Server.Leave] and the end of Run's
// context.
func (s *Server) Drain(ctx context.Context) (left int) {
	s.draining.Store(true)
	waiting := s.sessions.ordinary()
	if len(waiting) == 0 {
		return 0
	}
	began, total := time.Now(), len(waiting)
	perSecond := drainRate(ctx, s.cfg.DrainRate, total)
	s.log.Info("draining", zap.Int("sessions", total), zap.Int("per_second", int(perSecond)))
	limit := rate.NewLimiter(rate.Limit(perSecond), 1+int(perSecond*drainPause.Seconds()))
	var given []departure
	for looked := began; len(waiting) > 0 && limit.Wait(ctx) == nil; waiting = waiting[1:] {
		now := time.Now()
		s.sendAway(waiting[0])
		given = append(given, departure{waiting[0], now})
		if now.Sub(looked) > drainPause {
			given, looked = s.stillWaiting(given), now
		}
	}
	for {
		if given = s.stillWaiting(given); len(given) == 0 || ctx.Err() != nil {
			break
		}
		pause(ctx, drainPause)
	}
	left = len(waiting) + len(given)
	s.log.Info("drained", zap.Int("sessions", total-left), zap.Int("left", left), zap.Duration("after", time.Since(began)))
	return left
}

// departure is a session that has had its turn, and when.
type departure struct {
	session *session
	given   time.Time
}

// drainRate is how many sessions get their turn in a second.
func drainRate(ctx context.Context, configured, sessions int) float64 {
	perSecond := float64(configured)
	if deadline, ok := ctx.Deadline(); ok {
		seconds := max(drainShare*time.Until(deadline).Seconds(), 0.001)
		perSecond = max(perSecond, float64(sessions)/seconds)
	}
	return perSecond
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// sendAway gives a session its turn.
func (s *Server) sendAway(session *session) {
	sock, told := session.ask()
	if !told {
		return // its next connect tells it
	}
	s.forget(session)
	session.complete(releaseLeaving)
	if sock != nil {
		sock.close(closeRestart, "the comet leaves")
	}
}

// stillWaiting drops the sessions that need not be waited for. Who has been told is
// subscribed to nothing: it is served elsewhere by now.
func (s *Server) stillWaiting(given []departure) []departure {
	now := time.Now()
	left := given[:0]
	for _, t := range given {
		if t.session.parted(now, now.Sub(t.given) > drainGrace) {
			s.forget(t.session)
			continue
		}
		if t.session.askable() {
			s.sendAway(t.session)
		}
		left = append(left, t)
	}
	return left
}

// forget ends the subscriptions of a session that goes on otherwise.
func (s *Server) forget(session *session) {
	left := s.channels.forget(session)
	s.channels.announce(s.cloud)
	for _, channel := range left {
		s.unsubscribed(session, channel, nil)
	}
}

// parting is how far a session is with leaving a comet that drains. Its state does
// not change by that: what its client has sent already is still taken.
type parting uint8

const (
	stays parting = iota
	// asked: its turn has come, and its client is told as soon as it can be.
	asked
	// told: its client has been told, or need not be. A connect is unknown.
	told
)

// ask gives the session its turn. done says that its client is told now, by its held
// connect, which the caller completes, or by its socket, which the caller closes.
func (s *session) ask() (sock *socket, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parting = max(s.parting, asked)
	switch {
	case s.parting == told || s.hold == nil && s.sock == nil:
		return nil, false
	case !s.settledLocked():
		// What waits, or is not acknowledged, takes this connect; the next one is told.
		s.releaseLocked(releaseTimeout)
		return nil, false
	}
	s.parting = told
	return s.sock, true
}

// askable tells whether ask would have it done now.
func (s *session) askable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parting == asked && (s.hold != nil || s.sock != nil) && s.settledLocked()
}

// tellLocked is for a connect that is being answered: whether the answer tells the
// client to go. On a socket it does not: the client would handshake on the same one.
// It is told by the close frame.
func (s *session) tellLocked() bool {
	if s.parting == asked && s.sock == nil && s.settledLocked() {
		s.parting = told
	}
	return s.parting == told
}

// settledLocked tells whether the client loses nothing if it is told now: all that it
// is to acknowledge has been, and what waits goes ahead of the answer or of the close
// frame. Ahead of that goes only what may leave without a connect reply.
func (s *session) settledLocked() bool {
	return s.acks == nil && (s.sock == nil || !s.connectOnly) || s.waitingLocked() == 0
}

// parted tells whether nothing is to be waited for. A client that has not connected
// since long before its turn came, or for the grace since then, is not expected to.
func (s *session) parted(now time.Time, overdue bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parting == asked && s.hold == nil && s.sock == nil && s.waitingLocked() == 0 && s.settledLocked() && !s.deadline.IsZero() &&
		(overdue || now.Sub(s.deadline.Add(-s.lifetimeLocked())) > drainGrace) {
		s.parting = told
	}
	return s.parting == told || !s.state.live()
}
