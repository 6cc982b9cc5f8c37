package comet

import (
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// decoder makes messages and control frames of the bytes of a WebSocket client,
// in whatever pieces they come (RFC 6455, section 5). Between frames it holds
// nothing; of what has not come whole it holds what has come, not what was
// announced. It belongs to the goroutine that reads.
type decoder struct {
	// fixed after construction
	limit   int  // of the payload of a message, in bytes, before it is decompressed
	deflate bool // permessage-deflate was negotiated

	part *part // what has not come whole; nil: nothing
}

// part is what a decoder holds of frames that have not come whole.
type part struct {
	header [maxHeader]byte
	have   int // bytes of the header

	frame     frameHeader // while in is true
	in        bool        // the header is whole, some of its payload is not there
	remaining int         // bytes of the payload that have not come
	masked    int         // those that have come, for the mask

	control []byte // payload of a control frame

	// a message of which a frame has come
	begun    bool
	op       byte
	deflated bool
	payload  []byte
}

// frameHeader is the head of one frame.
type frameHeader struct {
	whole     bool // there is one
	op        byte
	fin, rsv1 bool
	mask      [4]byte
	size      uint64
}

// received is a whole message (text or binary) or a control frame (close, ping,
// pong). Its payload is good until the decoder is called again, at most as long
// as the bytes that it was given.
type received struct {
	op       byte // 0: nothing whole yet
	deflated bool
	payload  []byte
}

const (
	opContinuation = 0x0
	opBinary       = 0x2
	opPing         = 0x9

	maskBit    = 0x80
	rsvBits    = 0x70
	maxHeader  = 2 + 8 + 4
	maxControl = 125
)

var (
	// errFrame is for bytes that are no frames of a WebSocket client.
	errFrame = errors.New("not the frames of a WebSocket client")
	// errFrameSize is for a message over the limit.
	errFrameSize = errors.New("message too large")
)

// next reads from p up to the end of the first message or control frame, and
// returns that and what is left of p. Bytes of p are changed. After an error
// nothing more can be read.
func (d *decoder) next(p []byte) (got received, rest []byte, err error) {
	for len(p) > 0 {
		h, payload, n, err := d.frame(p)
		p = p[n:]
		if err != nil {
			return received{}, p, err
		}
		if !h.whole {
			return received{}, p, nil // p is used up
		}
		if got, whole, err := d.take(h, payload); whole || err != nil {
			return got, p, err
		}
	}
	return received{}, p, nil
}

// frame reads one frame, or what has come of it, and tells how many bytes that
// were. The payload of a frame that has come in one piece lies in p; of others that
// of a control frame is returned, too, and that of a message has been appended to
// part.payload.
func (d *decoder) frame(p []byte) (h frameHeader, payload []byte, n int, err error) {
	pt := d.part
	if pt == nil || !pt.in {
		if h, n, err = d.header(p); err != nil || !h.whole {
			return frameHeader{}, nil, n, err
		}
		if h.size <= uint64(len(p)-n) {
			payload = p[n : n+int(h.size)]
			unmask(payload, h.mask, 0)
			return h, payload, n + len(payload), nil
		}
		pt = d.hold()
		pt.frame, pt.in, pt.remaining, pt.masked = h, true, int(h.size), 0
	}
	chunk := p[n:min(len(p), n+pt.remaining)]
	unmask(chunk, pt.frame.mask, pt.masked)
	pt.masked += len(chunk)
	pt.remaining -= len(chunk)
	if n += len(chunk); pt.frame.op >= opClose {
		pt.control = append(pt.control, chunk...)
	} else {
		pt.payload = append(pt.payload, chunk...)
	}
	if pt.remaining > 0 {
		return frameHeader{}, nil, n, nil
	}
	pt.in = false
	payload, pt.control = pt.control, nil
	return pt.frame, payload, n, nil
}

// header reads the header of a frame, of which a part may have come before. It is
// not whole when p is used up.
func (d *decoder) header(p []byte) (h frameHeader, n int, err error) {
	head, before := p, 0
	if d.part != nil && d.part.have > 0 {
		before = d.part.have
		d.part.keepHeader(p)
		head = d.part.header[:d.part.have]
	}
	if len(head) >= 2 {
		if err := d.check(head[0], head[1]); err != nil {
			return h, len(p), err
		}
	}
	size, whole := headerSize(head)
	if !whole {
		if before == 0 {
			d.hold().keepHeader(p)
		}
		return h, len(p), nil
	}
	h, n = parseHeader(head[:size]), size-before
	have := 0
	if d.part != nil {
		d.part.have, have = 0, len(d.part.payload)
	}
	if h.op < opClose && h.size > uint64(d.limit-have) {
		return h, n, errFrameSize
	}
	return h, n, nil
}

// hold makes room for what is not whole.
func (d *decoder) hold() *part {
	if d.part == nil {
		d.part = new(part)
	}
	return d.part
}

// keepHeader keeps as much of p as may belong to a header.
func (pt *part) keepHeader(p []byte) {
	pt.have += copy(pt.header[pt.have:], p)
}

// check is called with the first two bytes of each frame, even when no more have
// come: what may not be there is an error.
func (d *decoder) check(first, second byte) error {
	begun := d.part != nil && d.part.begun
	fin, rsv1, size := first&finBit != 0, first&rsv1Bit != 0, second&^maskBit
	bad := first&rsvBits&^rsv1Bit != 0 || second&maskBit == 0
	switch first & 0xf {
	case opText, opBinary:
		bad = bad || begun || rsv1 && !d.deflate
	case opContinuation:
		bad = bad || !begun || rsv1
	case opClose, opPing, opPong:
		bad = bad || rsv1 || !fin || size > maxControl
	default:
		bad = true
	}
	if bad {
		return errFrame
	}
	return nil
}

// take puts a frame that has come whole to the others of its message.
func (d *decoder) take(h frameHeader, payload []byte) (got received, whole bool, err error) {
	if h.op >= opClose {
		got := received{op: h.op, payload: payload}
		if d.part != nil && !d.part.begun {
			d.part = nil
		}
		if h.op == opClose && !validClose(payload) {
			return received{}, false, errFrame
		}
		return got, true, nil
	}
	pt := d.part
	if pt == nil && h.fin { // all of it lies in what was read
		return received{h.op, h.rsv1, payload}, true, nil
	}
	pt = d.hold()
	pt.payload = append(pt.payload, payload...)
	if h.op != opContinuation {
		pt.begun, pt.op, pt.deflated = true, h.op, h.rsv1
	}
	if !h.fin {
		return received{}, false, nil
	}
	d.part = nil
	return received{pt.op, pt.deflated, pt.payload}, true, nil
}

// headerSize is the size of the header that p begins with; false when p is too
// short to tell, or shorter than that.
func headerSize(p []byte) (int, bool) {
	if len(p) < 2 {
		return 0, false
	}
	n := 2
	switch p[1] &^ maskBit {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if p[1]&maskBit != 0 {
		n += 4
	}
	return n, n <= len(p)
}

func parseHeader(p []byte) frameHeader {
	h := frameHeader{whole: true, op: p[0] & 0xf, fin: p[0]&finBit != 0, rsv1: p[0]&rsv1Bit != 0}
	at := 2
	switch n := p[1] &^ maskBit; n {
	case 126:
		h.size, at = uint64(binary.BigEndian.Uint16(p[2:])), 4
	case 127:
		h.size, at = binary.BigEndian.Uint64(p[2:]), 10
	default:
		h.size = uint64(n)
	}
	copy(h.mask[:], p[at:]) // nothing, if there is none
	return h
}

// unmask undoes the client's mask, of which from bytes have been used.
func unmask(p []byte, mask [4]byte, from int) {
	mask = [4]byte{mask[from&3], mask[(from+1)&3], mask[(from+2)&3], mask[(from+3)&3]}
	four := binary.LittleEndian.Uint32(mask[:])
	eight := uint64(four)<<32 | uint64(four)
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^eight)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= mask[i&3]
	}
}

// validClose tells whether the payload of a close frame is one: empty, or a code
// that may be sent and a reason in UTF-8. One byte alone is taken for no code.
func validClose(payload []byte) bool {
	if len(payload) < 2 {
		return true
	}
	code := int(binary.BigEndian.Uint16(payload))
	return (code >= 1000 && code <= 1013 && code != 1004 && code != 1005 && code != 1006 || code >= 3000 && code <= 4999) &&
		utf8.Valid(payload[2:])
}
