// Package tunnel passes the bytes of WebSockets on, untouched, between a client and a
// comet, and ends them in order: with a close frame where one may stand, after the
// comet's last word where there is time for it.
//
// A tunnel is carried by an event loop, which serves many of them without goroutines, or
// by two goroutines of its own. An idle one holds no buffer.
package tunnel

import (
	"sync/atomic"
	"time"
)

// Linger is how long one side of a tunnel has to end after the other did. An end
// that is not awaited turns into a reset when something was still under way, and a
// reset swallows what was sent before it.
const Linger = time.Second

// answerTime is how long a comet that is told the end has to answer it, and a client to
// finish the frame before which it cannot be told.
const answerTime = time.Second

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// Tunnel passes the bytes of one WebSocket on, untouched, in both directions. How it
// does it is another's affair: a loop's, which serves many of them (see looped), or
// that of two goroutines of its own (see pair).
type Tunnel struct {
	// Fixed before it is known to others.
	limit   time.Duration      // for how long either side may take nothing
	ended   func(*Tunnel, End) // called once, when both directions have ended
	release func()             // gives up the connection to the comet; called before ended

	// Owned by who carries each direction: the bytes that the client sent, and was sent.
	in, out int64

	// Safe for any goroutine.
	why  atomic.Uint32 // the End for which Shut was called; None while it was not
	wish atomic.Uint32 // the End for which Ask was called
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
func (t *Tunnel) carriedBy(c carrier) { t.by.Store(&c) }

// Shut ends the tunnel, with a close frame if one may stand where the stream is. It does
// not wait.
func (t *Tunnel) Shut(why End) {
	if t.why.CompareAndSwap(uint32(None), uint32(why)) {
		(*t.by.Load()).attend()
	}
}

// isShut tells whether Shut was called, and why.
func (t *Tunnel) isShut() End { return End(t.why.Load()) }

// Ask ends the tunnel in order, so that nothing is lost that the comet has sent: between
// two frames of the client's the comet gets a close frame, as if it were the client's,
// and nothing more. What it sends is passed on until its own close frame comes, which
// the client gets with the code of why. Without an answer of the comet in answerTime the
// tunnel ends between two frames of its own, as soon as there is nothing more to be
// passed on. Ask does not wait for any of it.
func (t *Tunnel) Ask(why End) {
	if t.wish.CompareAndSwap(uint32(None), uint32(why)) && t.isShut() == None {
		(*t.by.Load()).attend()
	}
}

// Asked tells whether Ask was called, and why.
func (t *Tunnel) Asked() End { return End(t.wish.Load()) }

// Passed is how many bytes the client has sent, and was sent. It may be asked once the
// tunnel has ended.
func (t *Tunnel) Passed() (in, out int64) { return t.in, t.out }

// over is called by who carries it when both directions have ended.
func (t *Tunnel) over() {
	t.release()
	t.ended(t, t.isShut())
}
