package comet

import (
	"errors"
	"sync"
	"time"

	"github.com/halleycomet/halley/internal/park"
)

// flight is what a writer has taken to write, in the order in which it leaves: a
// pong, the messages that it leased from a session, replies and perhaps the close
// frame. It is kept only while the connection has no room for it.
type flight struct {
	head     []byte
	session  *session    // that the messages belong to
	messages []*outgoing // those that have not left whole
	tail     []byte
	replies  int  // bytes at the beginning of tail that are replies
	last     bool // tail ends with the close frame

	off     int  // bytes of the first of all this that have left
	atomic  bool // the session has moved on, but the frame that began is finished
	leased  bool // settle is due
	pace    pace
	waiting time.Time // since when there has been no room; zero: there is

	buf []byte // scratch
}

var flights = sync.Pool{New: func() any { return new(flight) }}

func (f *flight) empty() bool { return len(f.head)+len(f.messages)+len(f.tail) == 0 }

// run is the writer. It takes what is there and writes it, until nothing is there
// or the connection has no room; in the latter case it comes again when there is.
func (k *socket) run() {
	f := k.take()
	for {
		if f.empty() && !k.load(f) {
			k.land(f)
			break
		}
		if !k.allowed(f) {
			k.broken(f)
			break
		}
		if f.empty() {
			continue
		}
		n, err := k.put(f)
		k.left(f, n)
		if err == nil {
			if f.last && f.empty() {
				k.land(f)
				k.closed()
				break
			}
			continue
		}
		if !errors.Is(err, park.ErrAgain) || f.pace.left() <= 0 {
			k.broken(f)
			break
		}
		if k.stall(f) {
			return
		}
	}
	k.endIfOver()
}

// take returns what the writer had when it stalled, or nothing.
func (k *socket) take() *flight {
	k.mu.Lock()
	defer k.mu.Unlock()
	f := k.stalled
	if f != nil {
		k.stalled = nil
		k.timer.Stop()
		return f
	}
	f = flights.Get().(*flight)
	f.pace = pace{timeout: k.srv.cfg.WriteTimeout}
	return f
}

// load takes what waits. When it is false nothing did, and the writer has ended.
// What is taken of the replies is taken before the messages are, so none of them
// overtakes a message that was there before it.
func (k *socket) load(f *flight) bool {
	if !k.loadReplies(f) {
		return false
	}
	if f.session != nil {
		f.messages = f.session.lease(k, f.messages[:0])
		f.leased = len(f.messages) > 0
	}
	return true
}

func (k *socket) loadReplies(f *flight) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead || !k.again && !k.breaking {
		k.writing = false
		return false
	}
	k.again = false
	f.session = k.session
	f.head, k.pong = k.pong, nil
	f.tail, k.replies = k.replies, nil
	f.replies = len(f.tail)
	if k.closing != nil {
		f.tail, f.last = append(f.tail, k.closing...), true
	}
	return true
}

// allowed is called before each write. It is false when the connection is to be
// given up. When the session has moved on, its messages go back to it; only when
// it left the connection in good order a frame that has begun is finished first.
func (k *socket) allowed(f *flight) bool {
	breaking, moved, retired := k.standing(f)
	switch {
	case breaking:
		return false
	case !moved || !f.leased || f.atomic:
		return true
	case f.off == 0 || len(f.head) > 0:
		f.giveBack()
		return true
	case retired:
		return false
	}
	f.messages, f.atomic = f.messages[:1], true
	return true
}

// standing looks at what may stop a write. A writing goroutine gets its deadline
// here: one that is interrupted afterwards has it set to the past.
func (k *socket) standing(f *flight) (breaking, moved, retired bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.raw == nil && !k.breaking {
		k.conn.SetWriteDeadline(time.Now().Add(f.patience()))
	}
	return k.breaking, k.session != f.session, k.retired
}

// patience is how long the client may take for what is next.
func (f *flight) patience() time.Duration {
	if f.last {
		return min(closeGrace, f.pace.left())
	}
	return f.pace.left()
}

// giveBack ends the lease: what has not left whole is the session's again.
func (f *flight) giveBack() {
	clear(f.messages)
	f.messages = f.messages[:0]
	if f.leased {
		f.leased, f.atomic = false, false
		f.session.settle(0)
	}
}

// put writes what is next, as much as goes into one write.
func (k *socket) put(f *flight) (n int, err error) {
	out := f.next(k.deflate)
	if k.raw != nil {
		if n, err = k.raw.TryWrite(out); !f.waiting.IsZero() || err != nil {
			f.waited(n, err)
		}
		return n, err
	}
	began := time.Now()
	n, err = k.conn.Write(out[:min(len(out), f.pace.room())])
	f.pace.wrote(n, time.Since(began))
	return n, err
}

// waited notes the time since the connection last had no room.
func (f *flight) waited(n int, err error) {
	now := time.Now()
	if f.waiting.IsZero() {
		f.waiting = now
	}
	f.pace.wrote(n, now.Sub(f.waiting))
	if f.waiting = now; err == nil {
		f.waiting = time.Time{}
	}
}

// next is what is to be written next: one frame that all subscribers share, or
// many in the scratch buffer.
func (f *flight) next(deflate bool) []byte {
	if len(f.head)+len(f.tail) == 0 && len(f.messages) == 1 {
		return f.messages[0].frame(deflate)[f.off:]
	}
	if len(f.messages)+len(f.head) == 0 {
		return f.tail[f.off:]
	}
	buf, off := append(f.buf[:0], f.head...), f.off
	for _, m := range f.messages {
		if len(buf)-off >= writeChunk {
			break
		}
		buf = append(buf, m.frame(deflate)...)
	}
	if len(buf)-off < writeChunk {
		buf = append(buf, f.tail[:min(len(f.tail), writeChunk)]...)
	}
	f.buf = buf
	return buf[off:]
}

// left takes n bytes off what is to be written. A frame of which only a part has
// left is still there whole: should it stay so, its message goes elsewhere.
func (k *socket) left(f *flight, n int) {
	n += f.off
	f.off = 0
	if len(f.head) > 0 {
		if n < len(f.head) {
			f.off = n
			return
		}
		n, f.head = n-len(f.head), nil
	}
	sent := 0
	for sent < len(f.messages) {
		size := len(f.messages[sent].frame(k.deflate))
		if n < size {
			break
		}
		n, sent = n-size, sent+1
	}
	if sent > 0 {
		f.sent(sent)
	}
	if len(f.messages) > 0 {
		f.off = n
		return
	}
	if f.replies > 0 && n > 0 {
		k.eased(min(n, f.replies))
		f.replies -= min(n, f.replies)
	}
	if f.tail = f.tail[n:]; len(f.tail) == 0 {
		f.tail = nil
	}
}

// sent takes messages that have left off the lease.
func (f *flight) sent(n int) {
	left := copy(f.messages, f.messages[n:])
	clear(f.messages[left:])
	f.messages = f.messages[:left]
	if left == 0 {
		f.leased, f.atomic = false, false
		f.session.settle(n)
	} else {
		f.session.left(n)
	}
}
