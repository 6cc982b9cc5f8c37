package access

import (
	"sync"
	"time"

	"github.com/halleycomet/halley/comet"
)

// expiries holds the sessions that end at a known time, by its second.
type expiries struct {
	mu sync.Mutex
	// guarded by mu
	bySecond map[int64]map[*comet.Session]struct{}
}

func (e *expiries) add(s *comet.Session, ends time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.bySecond == nil {
		e.bySecond = make(map[int64]map[*comet.Session]struct{})
	}
	second := ends.Unix()
	if e.bySecond[second] == nil {
		e.bySecond[second] = make(map[*comet.Session]struct{})
	}
	e.bySecond[second][s] = struct{}{}
}

func (e *expiries) remove(s *comet.Session, ends time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	second := ends.Unix()
	delete(e.bySecond[second], s)
	if len(e.bySecond[second]) == 0 {
		delete(e.bySecond, second)
	}
}

// due takes out those whose second is over.
func (e *expiries) due(now time.Time) (over []*comet.Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for second, sessions := range e.bySecond {
		if second >= now.Unix() {
			continue
		}
		for s := range sessions {
			over = append(over, s)
		}
		delete(e.bySecond, second)
	}
	return over
}
