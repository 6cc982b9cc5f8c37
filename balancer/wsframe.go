package balancer

import "encoding/binary"

// frames follows a stream of WebSocket frames (RFC 6455, 5.2) by their headers
// alone, to know where a frame of our own may be put. Payloads are neither kept nor
// understood, so extensions like permessage-deflate do not matter.
type frames struct {
	head   [14]byte
	have   int    // bytes of the present header that were seen
	left   uint64 // bytes of the present payload to come
	closed bool   // a close frame went by: nothing may follow it
}

const opClose = 8

// feed takes the next bytes of the stream.
func (f *frames) feed(p []byte) {
	for len(p) > 0 {
		if f.left > 0 {
			n := min(f.left, uint64(len(p)))
			f.left -= n
			p = p[n:]
			continue
		}
		f.head[f.have] = p[0]
		f.have++
		p = p[1:]
		if f.have < f.headLen() {
			continue
		}
		f.left = f.payload()
		if f.head[0]&0x0f == opClose {
			f.closed = true
		}
		f.have = 0
	}
}

// between tells whether the stream stands between two frames, where a control
// frame may be put: they may stand between the fragments of a message, too.
func (f *frames) between() bool { return f.have == 0 && f.left == 0 && !f.closed }

// headLen is the length of the present header as far as is known.
func (f *frames) headLen() int {
	if f.have < 2 {
		return 2
	}
	n := 2
	switch f.head[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if f.head[1]&0x80 != 0 {
		n += 4
	}
	return n
}

func (f *frames) payload() uint64 {
	switch n := f.head[1] & 0x7f; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		return binary.BigEndian.Uint64(f.head[2:])
	default:
		return uint64(n)
	}
}

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
