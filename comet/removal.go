package comet

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// The ways in which a session ends, other than by its client.

// remove takes a session out of everything, in this order: no more messages are
// queued for it, nobody finds it, nobody sends it anything, and whoever listens
// learns why (of other comets nobody does). ok is false when that was done before.
// Its held connect is left to the caller.
func (s *Server) remove(session *session, e event, drop bool, goodbye *outgoing, why Cause) (waiting int, ok bool) {
	if waiting, ok = session.finish(e, drop, goodbye); !ok {
		return 0, false
	}
	s.sessions.remove(session)
	left := s.channels.forget(session)
	if !session.peer { // peers change no interest
		s.channels.announce(s.cloud)
		s.removed(session, left, why)
	}
	return waiting, true
}

// gone tells the cloud that a peer is gone.
func (s *Server) gone(session *session, disconnected bool) {
	if session.peer && s.cloud != nil {
		s.cloud.PeerGone(session.id, disconnected)
	}
}

// overflow is for a message for which its session had no room: the message is
// dropped, or the session is cut, as FullQueue says. What a client is promised to get
// again until it acknowledges it cannot be dropped.
func (s *Server) overflow(session *session, why Drop) (cut bool) {
	if s.cfg.FullQueue == FullQueueDrop && !session.acknowledged() {
		s.dropped(why, 1)
		if suppressed, ok := s.full.allow(time.Now()); ok {
			s.log.Warn("messages dropped: a queue is full", zap.String("reason", string(why)),
				zap.String("session", shortID(session.id)), zap.Bool("peer", session.peer), zap.Int("suppressed", suppressed))
		}
		return false
	}
	s.cut(session, why)
	return true
}

// cut ends a session whose queue is full. Its client is told to handshake when it
// comes next; a socket that it does not read is closed.
func (s *Server) cut(session *session, why Drop) {
	waiting, ok := s.remove(session, eventEnd, true, nil, CauseQueue)
	if !ok {
		return
	}
	session.complete(releaseCut)
	if k := session.socket(); k != nil {
		k.retire()
	}
	s.dropped(why, waiting+1)
	s.stats.cuts.WithLabelValues(string(why)).Inc()
	s.log.Warn("session cut: its queue is full", zap.String("reason", string(why)),
		zap.String("session", shortID(session.id)), zap.Bool("peer", session.peer), zap.Int("messages", waiting))
	s.gone(session, false)
}

// sweepUntil sweeps periodically until ctx ends.
func (s *Server) sweepUntil(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.SweepPeriod)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			s.sweep(now)
			s.lot.Sweep(now)
		case <-ctx.Done():
			return
		}
	}
}

// sweep ends the sessions whose time is over. As in CometD nobody is told: whoever
// comes back learns it by a 402.
func (s *Server) sweep(now time.Time) {
	for _, k := range s.sessions.idle(now.Add(-s.cfg.WebSocketIdleTimeout)) {
		k.abort()
	}
	for _, session := range s.sessions.all() {
		why, over := session.expired(now)
		if !over {
			continue
		}
		waiting, ok := s.remove(session, eventExpire, true, nil, CauseExpired)
		if !ok {
			continue
		}
		session.complete(releaseCut)
		if waiting > 0 {
			s.dropped(why, waiting)
		}
		s.stats.cuts.WithLabelValues(string(why)).Inc()
		s.gone(session, false)
	}
}

// DropSession ends a session from the server's side: its client gets a
// /meta/disconnect without an id, and its connect is answered with advice none
// (as by CometD's ServerSession.disconnect). PeerGone is not called for it. An
// unknown id is ignored.
func (s *Server) DropSession(id string) {
	if session := s.sessions.find(id); session != nil {
		s.expel(session)
	}
}

func (s *Server) expel(session *session) {
	carried := session.carried()
	waiting, ok := s.remove(session, eventEnd, false, disconnected, CauseServer)
	if !ok {
		return
	}
	why := DropServer
	if session.peer {
		why = DropReplaced
	}
	if !carried && waiting > 0 {
		s.dropped(why, waiting)
	}
	s.stats.cuts.WithLabelValues(string(why)).Inc()
	session.complete(releaseEnded)
}

// carried tells whether something takes along what waits, should the session end now:
// a socket, a connect that is held or in work, or the answer to another request. Whoever
// comes later finds no session.
func (s *session) carried() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sock != nil || s.hold != nil || s.batch > 0 || s.deadline.IsZero()
}

func (s *Server) dropped(why Drop, n int) {
	s.stats.drops.WithLabelValues(string(why)).Add(float64(n))
}

// shortID is what a log may hold of a clientId, which is a credential: the tag
// and a little more.
func shortID(id string) string { return id[:min(12, len(id))] }
