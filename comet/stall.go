package comet

import (
	"time"

	"github.com/halleycomet/halley/internal/park"
)

// keepScratch is how large the scratch of a writer may be to be used again: bytes,
// and messages.
const (
	keepScratch  = 2 * writeChunk
	keepMessages = 1 << 10
)

// land gives the scratch of a writer back.
func (k *socket) land(f *flight) {
	buf, messages := f.buf[:0], f.messages[:0]
	if cap(buf) > keepScratch {
		buf = nil
	}
	if cap(messages) > keepMessages {
		messages = nil
	}
	*f = flight{buf: buf, messages: messages}
	flights.Put(f)
}

// stall waits for room without a goroutine. It is false when the writer has to look
// again at once.
func (k *socket) stall(f *flight) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.breaking || f.leased && !f.atomic && k.session != f.session {
		return false
	}
	f.buf = nil
	k.stalled, k.writing = f, false
	k.afterLocked(f.patience())
	k.armLocked()
	return true
}

// afterLocked has late called after some time.
func (k *socket) afterLocked(d time.Duration) {
	if k.timer == nil {
		k.timer = time.AfterFunc(d, k.late)
	} else {
		k.timer.Reset(d)
	}
}

// late is called when a client had no room for some time: it is tried once more,
// since the system tells of room only when there is much; or when it has not
// answered a close frame.
func (k *socket) late() {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.dead:
		k.abortLocked()
	case k.stalled != nil && k.stalled.last:
		k.breaking = true
		k.resumeLocked()
	case k.stalled != nil:
		k.resumeLocked()
	}
}

// eased takes replies that have left off what the reader waits for.
func (k *socket) eased(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	throttled := k.throttledLocked()
	k.unsent -= n
	if !throttled || k.throttledLocked() {
		return
	}
	if k.ease != nil {
		close(k.ease)
		k.ease = nil
	}
	k.armLocked()
}

// throttledLocked tells whether nothing is to be read, since the client does not
// read its replies.
func (k *socket) throttledLocked() bool { return k.unsent > replyLimit && !k.dead }

// broken ends the writer when nothing can be written any more, and the reader.
func (k *socket) broken(f *flight) {
	f.giveBack()
	k.land(f)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writing, k.dead = false, true
	k.replies, k.pong = nil, nil
	k.deafenLocked()
}

// closed ends the writer after the close frame. The client's close frame is
// awaited for a short while: a connection that is closed with something unread is
// reset, and what was sent may be lost.
func (k *socket) closed() {
	if k.goodbye() {
		// What it sends further is not understood: it learns at once that nothing
		// more is said.
		if half, ok := k.conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite() // if it fails the end of its time does it
		}
	}
}

// goodbye tells whether what the client sends is no frames.
func (k *socket) goodbye() (garbled bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writing, k.dead = false, true
	k.pong = nil
	if !k.deaf {
		k.afterLocked(closeGrace)
	}
	if k.ease != nil {
		close(k.ease)
		k.ease = nil
	}
	k.armLocked()
	return k.garbled
}

// endIfOver ends the socket when neither the reader nor the writer will work any
// more. Each calls it when it ends.
func (k *socket) endIfOver() {
	if !k.isOver() {
		return
	}
	if session := k.attached(); session != nil {
		session.unbind(k)
	}
	if k.raw != nil {
		k.raw.Disarm()
	}
	k.conn.Close()
	k.srv.sessions.removeSocket(k)
	if k.over != nil {
		close(k.over)
	}
}

func (k *socket) isOver() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone || !k.dead || !k.deaf || k.writing || k.reading || k.stalled != nil {
		return false
	}
	k.gone = true
	if k.timer != nil {
		k.timer.Stop()
	}
	return true
}

// armLocked has the set tell what the socket waits for.
func (k *socket) armLocked() {
	if k.raw == nil || k.gone || k.hungUp {
		return
	}
	var e park.Events
	if !k.reading && !k.deaf && !k.throttledLocked() {
		e |= park.Readable
	}
	if k.stalled != nil {
		e |= park.Writable
	}
	if e != 0 {
		k.raw.Arm(e, k)
	}
}

// Woken is called by the set.
func (k *socket) Woken(e park.Events) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e&park.Ended != 0 {
		k.abortLocked()
		return
	}
	k.hungUp = k.hungUp || e&park.Hangup != 0
	if e&(park.Readable|park.Hangup) != 0 && !k.reading && !k.deaf && (k.hungUp || !k.throttledLocked()) {
		k.reading = true
		go k.read()
	}
	if e&(park.Writable|park.Hangup) != 0 && k.stalled != nil {
		k.resumeLocked()
	}
	k.armLocked()
}
