package cluster

import (
	"context"
	"sync"
)

// hub holds the current view and hands each new one to those who watch.
type hub struct {
	mu       sync.Mutex
	view     *View                      // guarded by mu
	watchers map[chan *View]func() bool // guarded by mu; value: forgets the watcher's context
	closed   bool                       // guarded by mu
}

func newHub() *hub {
	return &hub{view: &View{}, watchers: make(map[chan *View]func() bool)}
}

func (h *hub) current() *View {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.view
}

// publish never blocks: a watcher that has not fetched the last view gets this one
// in its place.
func (h *hub) publish(v *View) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.view = v
	for ch := range h.watchers {
		offer(ch, v)
	}
}

// offer puts v into ch, whose buffer is one, in the place of what was there. Only
// the holder of the hub's lock sends, so the second send cannot block.
func offer(ch chan *View, v *View) {
	select {
	case <-ch:
	default:
	}
	ch <- v
}

// watch returns a channel with the current view in it. It is closed when ctx ends
// or the hub is closed.
func (h *hub) watch(ctx context.Context) <-chan *View {
	ch := make(chan *View, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	ch <- h.view
	if h.closed {
		close(ch)
		return ch
	}
	h.watchers[ch] = context.AfterFunc(ctx, func() { h.forget(ch) })
	return ch
}

func (h *hub) forget(ch chan *View) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.watchers[ch]; ok {
		delete(h.watchers, ch)
		close(ch)
	}
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for ch, stop := range h.watchers {
		stop()
		delete(h.watchers, ch)
		close(ch)
	}
}
