package comet

import (
	"bytes"
	"encoding/binary"

	"github.com/klauspost/compress/flate"
)

// WebSocket frames (RFC 6455, section 5.2) are written by this package itself:
// one encoding serves all subscribers, many leave in one write, and the number of
// bytes that a broken connection took tells which frames did not leave. A server
// neither masks nor, here, fragments.

const (
	opText  = 0x1
	opClose = 0x8
	opPong  = 0xA

	finBit  = 0x80
	rsv1Bit = 0x40 // compressed (RFC 7692)
)

// Close codes (RFC 6455, section 7.4.1).
const (
	closeNormal      = 1000 // another connection took the session over
	closeGoingAway   = 1001 // the comet leaves
	closeProtocol    = 1002 // no frames of a client
	closeUnsupported = 1003 // a binary message
	closeInvalid     = 1007 // no list of messages
	closePolicy      = 1008 // a handshake that is not alone
	closeTooLarge    = 1009
	closeFault       = 1011
	closeRestart     = 1012 // the comet leaves; come back, elsewhere
)

func appendFrame(dst []byte, first byte, payload []byte) []byte {
	dst = append(dst, first)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, byte(n))
	case n <= 0xffff:
		dst = append(dst, 126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	default:
		dst = append(dst, 127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	return append(dst, payload...)
}

// textFrame frames one text message, compressed by itself (no context is kept
// between messages) when deflate is set.
func textFrame(deflate bool, payload []byte) []byte {
	first := byte(finBit | opText)
	if deflate {
		var z bytes.Buffer
		// The only error is the buffer's, which has none.
		_ = flate.StatelessDeflate(&z, payload, false, nil)
		payload = bytes.TrimSuffix(z.Bytes(), []byte{0, 0, 0xff, 0xff})
		first |= rsv1Bit
	}
	return appendFrame(make([]byte, 0, len(payload)+10), first, payload)
}

// closeFrame is a close frame; code 0 makes one without a code. The reason must
// not exceed 123 bytes.
func closeFrame(code int, reason string) []byte {
	if code == 0 {
		return appendFrame(nil, finBit|opClose, nil)
	}
	payload := binary.BigEndian.AppendUint16(nil, uint16(code))
	return appendFrame(nil, finBit|opClose, append(payload, reason...))
}
