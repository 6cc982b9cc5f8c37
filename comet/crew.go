package comet

import (
	"sync"
	"time"
)

// crew is a bounded number of goroutines that run callbacks, and of which none
// begins after the end.
type crew struct {
	limit int // fixed after construction; 0: none

	mu sync.Mutex
	// guarded by mu
	working int
	ended   bool
	idle    chan struct{} // closed when ended and the last has returned
}

func newCrew(limit int) *crew { return &crew{limit: limit, idle: make(chan struct{})} }

// start runs f in a goroutine; false means that there are too many, or that the end
// has come.
func (c *crew) start(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.limit > 0 && c.working >= c.limit {
		return false
	}
	c.working++
	go func() {
		defer c.leave()
		f()
	}()
	return true
}

func (c *crew) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.working--; c.working == 0 && c.ended {
		close(c.idle)
	}
}

// end lets nobody begin any more; the result is closed when nobody works.
func (c *crew) end() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		if c.ended = true; c.working == 0 {
			close(c.idle)
		}
	}
	return c.idle
}

// dismiss waits for the goroutines that run callbacks, and lets no more begin.
func (s *Server) dismiss() {
	timer := time.NewTimer(s.cfg.ShutdownTimeout)
	defer timer.Stop()
	for _, idle := range []<-chan struct{}{s.calls.end(), s.callbacks.end()} {
		select {
		case <-idle:
		case <-timer.C:
			s.log.Warn("remote calls or callbacks of local sessions do not return")
			return
		}
	}
}
