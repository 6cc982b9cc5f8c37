package tunnel

import (
	"errors"
	"sync"
	"time"

	"github.com/halleycomet/halley/internal/chunk"
	"github.com/halleycomet/halley/internal/park"
	"github.com/halleycomet/halley/internal/wsframe"
)

// looped carries a tunnel whose two connections are sockets of one loop: it has no
// goroutine, and no buffer while nothing moves. What comes is read into the loop's
// scratch and written on at once. What the other side does not take is kept, and
// nothing more is read before it has left: each direction holds one chunk at most.
//
// But for attend all of it happens in the loop's goroutine.
type looped struct {
	// Fixed after construction.
	*Tunnel
	loop *park.Loop

	// Owned by the loop.
	client, comet park.Sock
	down, up      stream           // from comet to client, and back
	frames, said  wsframe.Follower // what was read of down, and of up
	deaf          bool             // the comet takes nothing more: what the client sends is dropped
	leaving       bool             // it was asked to end, and has begun to
	parted        bool             // the comet was told so: what the client sends is dropped
	late          bool             // the comet did not answer in time
	told          bool             // the client was told the end, or will be when what is kept has left
	gentle        bool             // it was told one at which the comet is well
	finished      bool
}

// stream is one direction.
type stream struct {
	kept *kept // what could not be written yet
	more bool  // there may be something to read; the loop says so once
	hung bool  // the end is not far
	over bool  // the end was read
}

// kept is what one side has not taken yet.
type kept struct {
	buf  []byte
	off  int       // so much of it has left
	took time.Time // when something was taken last
}

var keeps = sync.Pool{New: func() any { return &kept{buf: make([]byte, 0, chunk.Size)} }}

func keep(p []byte, now time.Time) *kept {
	k := keeps.Get().(*kept)
	k.buf, k.off, k.took = append(k.buf[:0], p...), 0, now
	return k
}

func (d *stream) drop() {
	if d.kept != nil && cap(d.kept.buf) == chunk.Size {
		keeps.Put(d.kept)
	}
	d.kept = nil
}

// turn is how much one direction of a tunnel passes on before others have their turn.
const turn = 4 * chunk.Size

// start passes on what came before the loop had the tunnel. Whatever else happens is
// an event, or somebody's wish.
func (t *looped) start(begun Begun) {
	t.frames.Feed(begun.Frames)
	t.said.Feed(begun.Early)
	if t.write(&t.down, begun.Answer) && t.write(&t.down, begun.Frames) && t.write(&t.up, begun.Early) {
		t.heed()
	}
}

// attend is called from any goroutine.
func (t *looped) attend() { t.loop.Post(func() { t.heed() }) }

// Ready is called by the loop; not for a socket that is closed, as both are at the end.
func (t *looped) Ready(s *park.Sock, e park.Events) {
	switch {
	case e&park.Ended != 0:
		t.finish()
	case s == &t.comet:
		t.ready(&t.down, &t.up, e)
	default:
		t.ready(&t.up, &t.down, e)
	}
}

// ready is Ready of the socket that in comes from and out goes to.
func (t *looped) ready(in, out *stream, e park.Events) {
	if e&(park.Readable|park.Hangup) != 0 {
		in.more, in.hung = true, in.hung || e&park.Hangup != 0
	}
	if e&park.Writable != 0 && out.kept != nil && !t.flush(out) {
		return
	}
	if e&park.Expired != 0 && !t.expired(out) {
		return
	}
	t.pump(in)
}

// ends are the sockets of a direction.
func (t *looped) ends(d *stream) (from, to *park.Sock) {
	if d == &t.down {
		return &t.comet, &t.client
	}
	return &t.client, &t.comet
}

// pump passes on what there is to read. It tells whether the tunnel goes on.
func (t *looped) pump(d *stream) bool {
	from, _ := t.ends(d)
	for left := turn; d.more && d.kept == nil && !d.over && from.Open(); {
		if left <= 0 {
			t.loop.Post(func() { t.pump(d) })
			return true
		}
		buf := t.loop.Scratch()[:chunk.Size]
		n, err := from.Read(buf)
		if n < len(buf) && !d.hung {
			d.more = false // what comes later is told anew
		}
		switch {
		case errors.Is(err, park.ErrAgain):
			d.more = false
			return !t.late || t.heed()
		case err != nil:
			d.over = true
			return t.sourceEnded(d)
		}
		left -= n
		if !t.pass(d, buf[:n]) {
			return false
		}
	}
	return !t.finished
}

// pass passes on what was read, or drops it where nobody is to have it any more.
func (t *looped) pass(d *stream, p []byte) bool {
	switch {
	case d == &t.up:
		return t.deaf || t.parted || t.passUp(p)
	case t.told:
		return true
	case t.parted:
		n, found := t.frames.BeforeClose(p)
		switch {
		case !t.write(d, p[:n]):
			return false
		case found:
			return t.answered()
		}
		return !t.late || t.heed()
	}
	t.frames.Feed(p)
	return t.write(d, p) && (t.Asked() == None || t.heed())
}

// passUp passes on what the client says; if the tunnel is about to end, to the end of
// the frame. When it ends already, the client's time does not begin anew with all that
// it says.
func (t *looped) passUp(p []byte) bool {
	if t.Asked() == None || t.isShut() != None || t.told {
		t.said.Feed(p)
		return t.write(&t.up, p)
	}
	n := t.said.Next(p)
	if !t.write(&t.up, p[:n]) || !t.heed() {
		return false
	}
	return n == len(p) || t.pass(&t.up, p[n:])
}

// write writes p, and keeps what is not taken.
func (t *looped) write(d *stream, p []byte) bool {
	_, to := t.ends(d)
	if d == &t.up {
		t.in += int64(len(p))
	} else {
		t.out += int64(len(p))
	}
	if d.kept != nil {
		d.kept.buf = append(d.kept.buf, p...)
		return true
	}
	if len(p) == 0 {
		return true
	}
	switch n, err := to.Write(p); {
	case err == nil:
		return true
	case errors.Is(err, park.ErrAgain):
		d.kept = keep(p[n:], t.loop.Now())
		t.patient(to)
		return true
	}
	return t.lost(d)
}

// flush writes what is kept, as far as it is taken.
func (t *looped) flush(d *stream) bool {
	_, to := t.ends(d)
	n, err := to.Write(d.kept.buf[d.kept.off:])
	if n > 0 {
		d.kept.off += n
		d.kept.took = t.loop.Now()
	}
	switch {
	case errors.Is(err, park.ErrAgain):
		return true
	case err != nil:
		return t.lost(d)
	}
	d.drop()
	to.ClearTimeout()
	if d == &t.up && t.leaving && !t.late {
		t.awaits()
	}
	if d == &t.down && t.told {
		return t.hush()
	}
	return t.heed() && t.pump(d)
}
