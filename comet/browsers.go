package comet

import "sync"

// browser names the held connects of which a browser can afford few: those over one
// HTTP transport with the same cookie. A client without the cookie has no browser,
// and is never limited.
type browser struct {
	cookie string
	via    transport
}

// browsers counts the held connects of each browser. A browser opens few connections
// to a host (six, usually), and each tab that holds one takes it from all others; so
// beyond the limit a connect is answered at once, with the advice to poll.
type browsers struct {
	max int // fixed after construction; negative: no limit

	mu sync.Mutex
	// guarded by mu
	held map[browser]int
}

// enter counts one more held connect, if there may be one.
func (b *browsers) enter(id browser) bool {
	if id.cookie == "" || b.max < 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held[id] >= b.max {
		return false
	}
	if b.held == nil {
		b.held = make(map[browser]int)
	}
	b.held[id]++
	return true
}

// leave takes back what enter counted.
func (b *browsers) leave(id browser) {
	if id.cookie == "" || b.max < 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held[id]--; b.held[id] <= 0 {
		delete(b.held, id)
	}
}
