package balancer

import (
	"net"
	"sync/atomic"
	"time"

	"github.com/halleycomet/halley/internal/park"
)

// moment is how long a request waits for its answer before its client is watched:
// quick answers, which most are, cost nothing.
const moment = 5 * time.Millisecond

// vigil watches the client of one request while that waits. A poll whose client has
// gone must end at its comet at once, or the next message would be written into the
// void instead of being kept for the next poll.
//
// It belongs to the goroutine of the handler, but for what hungUp uses. A nil vigil
// watches nobody.
type vigil struct {
	// Fixed after construction.
	watcher *park.Set
	conn    net.Conn
	out     *outgoing

	// Owned by the goroutine of the handler; gone is made before anybody else sees it.
	cancel func()        // nil until begin
	gone   chan struct{} // closed by hungUp

	// Safe for any goroutine.
	waits atomic.Pointer[wire] // the wire that waits for the answer
}

// begin watches the client from now on.
func (v *vigil) begin() {
	if v == nil || v.cancel != nil {
		return
	}
	v.gone = make(chan struct{})
	v.cancel = v.watcher.Watch(v.conn, v.hungUp)
}

// idle tells whether the client could be watched, and is not.
func (v *vigil) idle() bool { return v != nil && v.cancel == nil }

// hungUp is called once, when the client has gone.
func (v *vigil) hungUp() {
	close(v.gone)
	if w := v.waits.Load(); w != nil {
		w.up.wakeOne(w, v.out, stageGone)
	}
}

// on names the wire that waits; to be called before left is asked.
func (v *vigil) on(w *wire) {
	if v != nil {
		v.waits.Store(w)
	}
}

// departed is closed when the client has gone; nil while nobody is watched.
func (v *vigil) departed() <-chan struct{} {
	if v == nil {
		return nil
	}
	return v.gone
}

// left tells whether the client has gone.
func (v *vigil) left() bool {
	select {
	case <-v.departed():
		return true
	default:
		return false
	}
}

// end lets the client be: the connection may serve its next request.
func (v *vigil) end() {
	if v != nil && v.cancel != nil {
		v.cancel()
	}
}
