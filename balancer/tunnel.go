package balancer

import (
	"sync/atomic"
	"time"
)

// linger is how long one side of a tunnel has to end after the other did. An end
// that is not awaited turns into a reset when something was still under way, and a
// reset swallows what was sent before it.
const linger = time.Second

// answerTime is how long a comet that is told the end has to answer it, and a client to
// finish the frame before which it cannot be told.
const answerTime = time.Second

// tunnel passes the bytes of one WebSocket on, untouched, in both directions. How it
// does it is another's affair: a loop's, which serves many of them (see looped), or
// that of two goroutines of its own (see pair).
type tunnel struct {
	// Fixed before it is known to others.
	limit   time.Duration   // for how long either side may take nothing
	ended   func(tunnelEnd) // called once, when both directions have ended
	release func()          // gives up the connection to the comet; called before ended

	// Owned by who carries each direction: the bytes that the client sent, and was sent.
	in, out int64

	// Safe for any goroutine.
	why  atomic.Uint32 // the tunnelEnd for which shut was called; endNone while it was not
	wish atomic.Uint32 // the tunnelEnd for which ask was called
	by   atomic.Pointer[carrier]
}

// carrier is who passes the bytes of a tunnel on.
type carrier interface {
	// attend has it look at why and wish. It is called from any goroutine and does not
	// wait.
	attend()
}

// carriedBy says who passes the bytes on, from now on. Whoever it is looks at why and
// wish after that.
func (t *tunnel) carriedBy(c carrier) { t.by.Store(&c) }

// shut ends the tunnel, with a close frame if one may stand where the stream is.
func (t *tunnel) shut(why tunnelEnd) {
	if t.why.CompareAndSwap(uint32(endNone), uint32(why)) {
		(*t.by.Load()).attend()
	}
}

// isShut tells whether shut was called, and why.
func (t *tunnel) isShut() tunnelEnd { return tunnelEnd(t.why.Load()) }

// ask ends the tunnel in order, so that nothing is lost that the comet has sent: between
// two frames of the client's the comet gets a close frame, as if it were the client's,
// and nothing more. What it sends is passed on until its own close frame comes, which
// the client gets with the code of why. Without an answer of the comet in answerTime the
// tunnel ends between two frames of its own, as soon as there is nothing more to be
// passed on.
func (t *tunnel) ask(why tunnelEnd) {
	if t.wish.CompareAndSwap(uint32(endNone), uint32(why)) && t.isShut() == endNone {
		(*t.by.Load()).attend()
	}
}

// asked tells whether ask was called, and why.
func (t *tunnel) asked() tunnelEnd { return tunnelEnd(t.wish.Load()) }

// over is called by who carries it when both directions have ended.
func (t *tunnel) over() {
	t.release()
	t.ended(t.isShut())
}
