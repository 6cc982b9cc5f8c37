package comet

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/halleycomet/halley/internal/park"
)

const (
	// readChunk is the size of the buffers into which parked sockets are read, in
	// bytes; they are borrowed while something is there.
	readChunk = 16 << 10
	// waitChunk is the size of the buffer of a goroutine that waits.
	waitChunk = 2 << 10
)

var readBuffers = sync.Pool{New: func() any { return new([readChunk]byte) }}

// read is the reader of a parked socket: it reads until nothing is there.
func (k *socket) read() {
	buf := readBuffers.Get().(*[readChunk]byte)
	for more := true; more; {
		n, err := k.raw.TryRead(buf[:])
		more = k.receive(buf[:n], err) && k.goOn(n == readChunk, errors.Is(err, park.ErrAgain))
	}
	readBuffers.Put(buf)
	k.endIfOver()
}

// goOn tells whether the reader of a parked socket is to go on. When it is not, the
// socket waits again, if there is something to wait for.
func (k *socket) goOn(full, nothing bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if nothing {
		k.hungUp = false // it was not the end
	}
	if !k.deaf && (k.hungUp || full && !k.throttledLocked()) {
		return true
	}
	k.reading = false
	k.armLocked()
	return false
}

// readWaiting is the reader of a socket that cannot be parked.
func (k *socket) readWaiting() {
	buf := make([]byte, waitChunk)
	for {
		k.throttle()
		n, err := k.conn.Read(buf)
		if !k.receive(buf[:n], err) {
			break
		}
	}
	k.endIfOver()
}

// throttle waits until few replies wait.
func (k *socket) throttle() {
	if ease := k.easing(); ease != nil {
		<-ease
	}
}

// easing is closed when few replies wait; nil: it is so.
func (k *socket) easing() chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.throttledLocked() || k.deaf {
		return nil
	}
	if k.ease == nil {
		k.ease = make(chan struct{})
	}
	return k.ease
}

// receive handles what was read, and is false when the reader has ended.
func (k *socket) receive(p []byte, err error) bool {
	for len(p) > 0 && k.listening() {
		var got received
		var violation error
		if got, p, violation = k.in.next(p); violation != nil {
			k.violated(violation)
			break
		}
		if got.op != 0 {
			k.receiveFrame(got)
		}
	}
	if err == nil || errors.Is(err, park.ErrAgain) {
		return k.hears()
	}
	k.unread()
	return false
}

// listening tells whether what the client sends is still taken for frames.
func (k *socket) listening() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.deaf && !k.garbled
}

// hears is false when nothing is to be read any more; the reader has ended then.
func (k *socket) hears() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.deaf {
		k.reading = false
	}
	return !k.deaf
}

// unread ends the reader at the end of the stream. A close frame, ours or the
// answer to the client's, still leaves.
func (k *socket) unread() {
	if session := k.attached(); session != nil {
		session.unbind(k)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.deaf, k.reading = true, false
	if k.closing == nil || k.dead {
		k.abortLocked()
	}
}

// violated answers bytes that are no frames. What comes after them is read and
// forgotten, until the client has closed, too.
func (k *socket) violated(violation error) {
	if !k.ended() {
		if errors.Is(violation, errFrameSize) {
			k.srv.refuseFrame(k, RefusedTooLarge, closeTooLarge, "")
		} else {
			k.srv.refused(RefusedFrame, zap.Error(violation), zap.Stringer("remote", k.conn.RemoteAddr()))
			k.close(closeProtocol, "")
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.garbled = true
}

// receiveFrame handles a whole message or control frame.
func (k *socket) receiveFrame(got received) {
	if !k.hear() && got.op != opClose {
		return // until the client's close frame, or the end of its time
	}
	switch got.op {
	case opPing:
		k.ponged(appendFrame(nil, finBit|opPong, got.payload))
	case opClose:
		code := 0
		if len(got.payload) >= 2 {
			code = int(binary.BigEndian.Uint16(got.payload))
		}
		k.close(code, "")
		k.shutEar()
	case opBinary:
		k.srv.refuseFrame(k, RefusedBinary, closeUnsupported, "binary messages are not supported")
	case opText:
		k.receiveText(got)
	}
}

// hear notes that the client is alive, and tells whether it is heeded.
func (k *socket) hear() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.heard = time.Now()
	return !k.dead && k.closing == nil
}

// shutEar ends the reading after the client's close frame.
func (k *socket) shutEar() {
	if session := k.attached(); session != nil {
		session.unbind(k)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.deaf = true
}

// receiveText handles a message, decompressed within the limit.
func (k *socket) receiveText(got received) {
	limit := k.srv.cfg.MaxMessageSize
	if !got.deflated {
		k.srv.receive(k, got.payload)
		return
	}
	err := inflate(got.payload, limit, func(payload []byte) {
		if len(payload) > limit {
			k.srv.refuseFrame(k, RefusedTooLarge, closeTooLarge, "message too large")
			return
		}
		k.srv.receive(k, payload)
	})
	if err != nil {
		k.srv.refuseFrame(k, RefusedJSON, closeInvalid, "not decompressible")
	}
}

// idle tells whether the client has sent nothing since then.
func (k *socket) idle(since time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.heard.Before(since)
}

// begin starts the reading, with what was read already.
func (k *socket) begin(first []byte) {
	if k.raw == nil {
		go func() {
			if k.receive(first, nil) {
				k.readWaiting()
			} else {
				k.endIfOver()
			}
		}()
		return
	}
	if k.receive(first, nil) {
		k.goOn(false, false)
	}
	k.endIfOver()
}

// buffered takes what conn has read ahead.
func buffered(conn io.Reader, deadline func(time.Time) error) []byte {
	if deadline(past) != nil {
		return nil
	}
	var all []byte
	for {
		var p [512]byte
		n, err := conn.Read(p[:])
		all = append(all, p[:n]...)
		if err != nil {
			_ = deadline(time.Time{})
			return all
		}
	}
}
