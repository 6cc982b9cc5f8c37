package comet

import "time"

// tuning holds settings that one session has for itself, in place of the comet's;
// a negative one is not set (CometD's ServerSession.setTimeout and its like).
type tuning struct {
	timeout, interval, maxInterval time.Duration
}

// tune changes the session's own settings. What it set holds from the next connect
// reply on.
func (s *session) tune(change func(*tuning)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tuning == nil {
		s.tuning = &tuning{timeout: -1, interval: -1, maxInterval: -1}
	}
	change(s.tuning)
	s.interval = s.ownIntervalLocked()
}

// setConnectOnly makes messages leave with connect replies alone, or again as soon
// as may be. A session with acknowledged messages stays as it is, and so does a local
// one, which never connects.
func (s *session) setConnectOnly(only bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connectOnly = only && s.local == nil || s.acks != nil
	s.kickLocked()
}

// timeoutLocked is for how long the session's connects are held.
func (s *session) timeoutLocked() time.Duration {
	if s.tuning != nil && s.tuning.timeout >= 0 {
		return s.tuning.timeout
	}
	return s.srv.cfg.Timeout
}

// ownIntervalLocked is the interval that the session is advised if it does not ask
// for another.
func (s *session) ownIntervalLocked() time.Duration {
	if s.tuning != nil && s.tuning.interval >= 0 {
		return s.tuning.interval
	}
	return s.srv.cfg.Interval
}

func (s *session) maxIntervalLocked() time.Duration {
	if s.tuning != nil && s.tuning.maxInterval > 0 {
		return s.tuning.maxInterval
	}
	return s.srv.cfg.MaxInterval
}

// lifetimeLocked is how long the session lives without a connect.
func (s *session) lifetimeLocked() time.Duration { return s.interval + s.maxIntervalLocked() }
