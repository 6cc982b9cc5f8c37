package comet

import (
	"sync"
	"time"
)

// sparse lets one log line a second through, of those that strangers cause.
type sparse struct {
	mu sync.Mutex
	// guarded by mu
	last       time.Time
	suppressed int
}

// allow tells whether a line may be written now, and how many were not since the
// last one.
func (s *sparse) allow(now time.Time) (suppressed int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.last) < time.Second {
		s.suppressed++
		return 0, false
	}
	suppressed, s.last, s.suppressed = s.suppressed, now, 0
	return suppressed, true
}

// maxLogged is how many bytes of a stranger's text go into the log.
const maxLogged = 100

func cut(text string) string { return text[:min(len(text), maxLogged)] }
