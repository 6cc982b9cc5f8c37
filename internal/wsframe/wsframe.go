// Package wsframe follows a stream of WebSocket frames without reading what is in them,
// and makes close frames (RFC 6455).
package wsframe

import (
	"encoding/binary"
	"math/rand/v2"
)

// Follower follows a stream of WebSocket frames (RFC 6455, 5.2) by their headers
// alone, to know where a frame of our own may be put. Payloads are neither kept nor
// understood, so extensions like permessage-deflate do not matter. Each tunnel has two
// of them for its life: nothing of a header is kept but what is still needed.
type Follower struct {
	left   uint64 // bytes of the present payload to come; its length, as far as known, within the header
	have   uint8  // bytes of the present header that were seen
	size   uint8  // of the present header, as far as known
	long   uint8  // bytes of the header that continue the length
	op     uint8  // its first byte
	closed bool   // a close frame went by: nothing may follow it
}

const opClose = 8

// Feed takes the next bytes of the stream.
func (f *Follower) Feed(p []byte) {
	for len(p) > 0 {
		p = p[f.Next(p):]
	}
}

// Next takes the next bytes of the stream, to the end of the present frame at most, and
// returns how many.
func (f *Follower) Next(p []byte) (n int) {
	if f.have == 0 && f.left == 0 && len(p) >= maxFrameHead {
		n = f.whole(p)
	}
	for f.have > 0 || f.left == 0 && n == 0 {
		if n == len(p) {
			return n
		}
		n++
		if f.header(p[n-1]) {
			break
		}
	}
	payload := min(f.left, uint64(len(p)-n))
	f.left -= payload
	return n + int(payload)
}

// BeforeClose takes the next bytes of the stream up to a close frame, and tells whether
// there is one.
func (f *Follower) BeforeClose(p []byte) (n int, found bool) {
	for n < len(p) {
		if f.Between() && p[n]&0x0f == opClose {
			return n, true
		}
		n += f.Next(p[n:])
	}
	return n, false
}

// maxFrameHead is the longest header of a frame.
const maxFrameHead = 14

// whole takes a whole header, as header does byte by byte, and returns its length.
func (f *Follower) whole(p []byte) (n int) {
	n, f.left = 2, uint64(p[1]&0x7f)
	switch f.left {
	case 126:
		n, f.left = 4, uint64(binary.BigEndian.Uint16(p[2:]))
	case 127:
		n, f.left = 10, binary.BigEndian.Uint64(p[2:])
	}
	if p[1]&0x80 != 0 {
		n += 4
	}
	if p[0]&0x0f == opClose {
		f.closed = true
	}
	return n
}

// header takes the next byte of a header, and tells whether it was the last.
func (f *Follower) header(c byte) bool {
	switch {
	case f.have == 0:
		f.op, f.size = c, 2
	case f.have == 1:
		f.long, f.left = 0, uint64(c&0x7f)
		switch f.left {
		case 126:
			f.long, f.left = 2, 0
		case 127:
			f.long, f.left = 8, 0
		}
		f.size += f.long
		if c&0x80 != 0 {
			f.size += 4
		}
	case f.have < 2+f.long:
		f.left = f.left<<8 | uint64(c)
	}
	if f.have++; f.have < f.size {
		return false
	}
	f.have = 0
	if f.op&0x0f == opClose {
		f.closed = true
	}
	return true
}

// Between tells whether the stream stands between two frames, where a control
// frame may be put: they may stand between the fragments of a message, too.
func (f *Follower) Between() bool { return f.have == 0 && f.left == 0 && !f.closed }

// Closed tells whether a close frame went by.
func (f *Follower) Closed() bool { return f.closed }

// Code is a status of a WebSocket close frame (RFC 6455, 7.4.1, and IANA's list).
type Code uint16

const (
	// GoingAway: the balancer stops.
	GoingAway Code = 1001
	// Restart: the comet is gone. CometD's client comes back on a new socket.
	Restart Code = 1012
	// TryLater: there is no comet.
	TryLater Code = 1013
)

// Close is a close frame as a server sends it.
func Close(code Code) []byte {
	return []byte{0x80 | opClose, 2, byte(code >> 8), byte(code)}
}

// MaskedClose is a close frame as a client sends it.
func MaskedClose(code Code) []byte {
	frame := []byte{0x80 | opClose, 0x80 | 2, 0, 0, 0, 0, byte(code >> 8), byte(code)}
	key := frame[2:6]
	binary.LittleEndian.PutUint32(key, rand.Uint32())
	frame[6] ^= key[0]
	frame[7] ^= key[1]
	return frame
}
