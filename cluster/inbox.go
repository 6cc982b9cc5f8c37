package cluster

import "sync"

// event is what the gossip tells of one incarnation: the last word counts, so a
// later event replaces an earlier one that was not yet read, goodbye apart.
type event struct {
	wire    string // name in the gossip
	addr    string // empty when the event is a goodbye and nothing else
	meta    []byte
	gone    bool
	goodbye bool // the node said that it is about to go
}

// maxGoodbyes is how many unread events make the inbox refuse a bare goodbye.
const maxGoodbyes = 4096

// inbox hands events from memberlist's callbacks, which run under its lock, to the
// keeper. It never blocks, and it is bounded by the number of incarnations that the
// gossip holds; goodbyes, which anyone can send, count up to maxGoodbyes.
type inbox struct {
	// Fixed after construction.
	wake chan struct{} // holds one token while there may be something to read

	mu      sync.Mutex
	pending map[string]event // guarded by mu
}

func newInbox() *inbox {
	return &inbox{wake: make(chan struct{}, 1), pending: make(map[string]event)}
}

func (b *inbox) put(ev event) {
	b.mu.Lock()
	before, ok := b.pending[ev.wire]
	switch {
	case ok && ev.addr == "":
		before.goodbye = true
		b.pending[ev.wire] = before
	case ev.addr == "" && len(b.pending) >= maxGoodbyes:
		// Dropped: its sender will be taken for failed instead of left.
	default:
		ev.goodbye = ev.goodbye || before.goodbye
		b.pending[ev.wire] = ev
	}
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take returns what is pending and forgets it.
func (b *inbox) take() map[string]event {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.pending) == 0 {
		return nil
	}
	taken := b.pending
	b.pending = make(map[string]event)
	return taken
}
