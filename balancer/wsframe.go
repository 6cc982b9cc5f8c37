package balancer

import (
	"encoding/binary"
	"math/rand/v2"
)

// frames follows a stream of WebSocket frames (RFC 6455, 5.2) by their headers
// alone, to know where a frame of our own may be put. Payloads are neither kept nor
// understood, so extensions like permessage-deflate do not matter. Each tunnel has two
// of them for its life: nothing of a header is kept but what is still needed.
type frames struct {
	left   uint64 // bytes of the present payload to come; its length, as far as known, within the header
	have   uint8  // bytes of the present header that were seen
	size   uint8  // of the present header, as far as known
	long   uint8  // bytes of the header that continue the length
	op     uint8  // its first byte
	closed bool   // a close frame went by: nothing may follow it
}

const opClose = 8

// feed takes the next bytes of the stream.
func (f *frames) feed(p []byte) {
	for len(p) > 0 {
		p = p[f.next(p):]
	}
}

// next takes the next bytes of the stream, to the end of the present frame at most, and
// returns how many.
func (f *frames) next(p []byte) (n int) {
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

// beforeClose takes the next bytes of the stream up to a close frame, and tells whether
// there is one.
func (f *frames) beforeClose(p []byte) (n int, found bool) {
	for n < len(p) {
		if f.between() && p[n]&0x0f == opClose {
			return n, true
		}
		n += f.next(p[n:])
	}
	return n, false
}

// maxFrameHead is the longest header of a frame.
const maxFrameHead = 14

// whole takes a whole header, as header does byte by byte, and returns its length.
func (f *frames) whole(p []byte) (n int) {
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
func (f *frames) header(c byte) bool {
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

// between tells whether the stream stands between two frames, where a control
// frame may be put: they may stand between the fragments of a message, too.
func (f *frames) between() bool { return f.have == 0 && f.left == 0 && !f.closed }

// closeCode is a status of a WebSocket close frame (RFC 6455, 7.4.1, and IANA's list).
type closeCode uint16

const (
	// closeGoingAway: the balancer stops.
	closeGoingAway closeCode = 1001
	// closeRestart: the comet is gone. CometD's client comes back on a new socket.
	closeRestart closeCode = 1012
	// closeTryLater: there is no comet.
	closeTryLater closeCode = 1013
)

// closeFrame is a close frame as a server sends it.
func closeFrame(code closeCode) []byte {
	return []byte{0x80 | opClose, 2, byte(code >> 8), byte(code)}
}

// maskedCloseFrame is a close frame as a client sends it.
func maskedCloseFrame(code closeCode) []byte {
	frame := []byte{0x80 | opClose, 0x80 | 2, 0, 0, 0, 0, byte(code >> 8), byte(code)}
	key := frame[2:6]
	binary.LittleEndian.PutUint32(key, rand.Uint32())
	frame[6] ^= key[0]
	frame[7] ^= key[1]
	return frame
}
