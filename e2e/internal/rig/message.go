package rig

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// head is what is read of a request or an answer.
type head struct {
	first     []byte // line
	length    int    // of the body
	websocket bool   // an upgrade to it is asked for, or granted
	key       []byte // Sec-WebSocket-Key
	accept    []byte // Sec-WebSocket-Accept
}

var end = []byte("\r\n\r\n")

// readHead reads a head; size is 0 while it is not complete.
func readHead(data []byte) (h head, size int, err error) {
	stop := bytes.Index(data, end)
	if stop < 0 {
		if len(data) > 32<<10 {
			return h, 0, fmt.Errorf("no end of a head in %d bytes: %.80q", len(data), data)
		}
		return h, 0, nil
	}
	first, rest, _ := bytes.Cut(data[:stop+2], end[:2])
	h.first = first
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, end[:2])
		name, value, ok := bytes.Cut(line, []byte{':'})
		if !ok {
			return h, 0, fmt.Errorf("header %q", line)
		}
		value = bytes.TrimSpace(value)
		switch len(name) {
		case len("Upgrade"):
			h.websocket = h.websocket || equal(name, "Upgrade") && equal(value, "websocket")
		case len("Content-Length"):
			if equal(name, "Content-Length") {
				if h.length, err = strconv.Atoi(string(value)); err != nil {
					return h, 0, fmt.Errorf("header %q", line)
				}
			}
		case len("Sec-WebSocket-Key"): // and Transfer-Encoding
			switch {
			case equal(name, "Sec-WebSocket-Key"):
				h.key = value
			case equal(name, "Transfer-Encoding"):
				return h, 0, fmt.Errorf("header %q: only bodies of known length are read", line)
			}
		case len("Sec-WebSocket-Accept"):
			if equal(name, "Sec-WebSocket-Accept") {
				h.accept = value
			}
		}
	}
	return h, stop + len(end), nil
}

func equal(a []byte, b string) bool { return bytes.EqualFold(a, []byte(b)) }

// acceptKey answers a Sec-WebSocket-Key (RFC 6455, 4.2.2).
func acceptKey(key []byte) string {
	sum := sha1.Sum(append(append([]byte(nil), key...), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// frame is a binary frame of WebSocket. A client masks (RFC 6455, 5.3); a mask of
// zeros leaves the payload as it is, and is a mask.
func frame(payload []byte, masked bool) []byte {
	mask := byte(0)
	if masked {
		mask = 0x80
	}
	b := []byte{0x82, mask}
	switch n := len(payload); {
	case n < 126:
		b[1] |= byte(n)
	case n < 1<<16:
		b[1] |= 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] |= 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	if masked {
		b = append(b, 0, 0, 0, 0)
	}
	return append(b, payload...)
}

// readFrame reads one frame of a client or of a server; size is 0 while it is not
// complete.
func readFrame(data []byte) (payload []byte, size int, err error) {
	if len(data) < 2 {
		return nil, 0, nil
	}
	if data[0] != 0x82 {
		return nil, 0, fmt.Errorf("a frame begins with %#x", data[0])
	}
	at, n := 2, uint64(data[1]&0x7f)
	switch {
	case n == 126 && len(data) >= 4:
		at, n = 4, uint64(binary.BigEndian.Uint16(data[2:]))
	case n == 127 && len(data) >= 10:
		at, n = 10, binary.BigEndian.Uint64(data[2:])
	case n >= 126:
		return nil, 0, nil
	}
	if n > 1<<24 {
		return nil, 0, fmt.Errorf("a frame of %d bytes", n)
	}
	if data[1]&0x80 != 0 {
		if len(data) < at+4 {
			return nil, 0, nil
		}
		if binary.BigEndian.Uint32(data[at:]) != 0 {
			return nil, 0, errors.New("a mask that is not of zeros")
		}
		at += 4
	}
	if uint64(len(data)-at) < n {
		return nil, 0, nil
	}
	return data[at : at+int(n)], at + int(n), nil
}
