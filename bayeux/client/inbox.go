package client

import (
	"sync"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// event is one thing to tell the application: a message, or a change of the
// connection.
type event struct {
	msg  *bayeux.Message // nil for a change
	tell func()          // nil for a message
}

// messageOverhead is what a queued message costs beside its text.
const messageOverhead = 256

func (e *event) size() int {
	if e.msg == nil {
		return 0 // changes are few: Run makes one at a time
	}
	return len(e.msg.Raw) + messageOverhead
}

// inbox is the bounded queue between the goroutines that receive and the one
// that runs the callbacks.
type inbox struct {
	// Fixed after construction.
	limit   int
	refused chan struct{} // closed by refuse
	ended   chan struct{} // closed by close
	ready   chan struct{} // holds one element when there may be something to take
	room    chan struct{} // holds one element when there may be room

	// Guarded by mu.
	mu       sync.Mutex
	events   []event
	size     int
	refusing bool // messages are dropped, changes are not
	closed   bool
	received uint64
	dropped  uint64
}

func newInbox(limit int) *inbox {
	return &inbox{
		limit:   limit,
		refused: make(chan struct{}),
		ended:   make(chan struct{}),
		ready:   make(chan struct{}, 1),
		room:    make(chan struct{}, 1),
	}
}

// put appends an event. While the queue is full it waits: at most patience,
// then it returns ErrOverflow, and ErrClosed once broken is closed. With an
// error the event is dropped and counted. One message always fits into an empty
// queue.
func (b *inbox) put(e event, patience time.Duration, broken <-chan struct{}) error {
	if b.offer(e) {
		return nil
	}
	var err error
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case <-b.room:
			if b.offer(e) {
				return nil
			}
			continue
		case <-timer.C:
			err = ErrOverflow
		case <-broken:
			err = ErrClosed
		case <-b.refused:
		}
		b.drop(1)
		return err
	}
}

// offer appends, or drops what is refused; false means that there is no room now.
func (b *inbox) offer(e event) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.msg != nil && b.refusing {
		b.dropped++
		return true
	}
	n := e.size()
	if n > 0 && b.size > 0 && b.size+n > b.limit {
		return false
	}
	b.events = append(b.events, e)
	b.size += n
	signal(b.ready)
	if b.size < b.limit {
		signal(b.room) // one signal wakes one waiter: pass it on
	}
	return true
}

// take returns the oldest event, waiting for one; false when the inbox is
// closed and empty.
func (b *inbox) take() (event, bool) {
	for {
		e, ok, closed := b.next()
		if ok || closed {
			return e, ok
		}
		select {
		case <-b.ready:
		case <-b.ended:
		}
	}
}

func (b *inbox) next() (e event, ok, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.events) > 0 {
		e = b.events[0]
		b.events[0] = event{}
		b.events = b.events[1:]
		b.size -= e.size()
		signal(b.room)
		if e.msg == nil || !b.refusing {
			if e.msg != nil {
				b.received++
			}
			return e, true, b.closed
		}
		b.dropped++
	}
	b.events = nil
	return event{}, false, b.closed
}

// refuse drops the messages that are queued and those that come.
func (b *inbox) refuse() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.refusing {
		b.refusing = true
		close(b.refused)
	}
}

// close ends take when the queue is empty.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	close(b.ended)
}

func (b *inbox) drop(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropped += uint64(n)
}

func (b *inbox) counts() (received, dropped uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.received, b.dropped
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
