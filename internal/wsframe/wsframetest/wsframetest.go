// Package wsframetest makes WebSocket frames for tests.
package wsframetest

// Frame is a frame of a server, or with a mask of a client.
func Frame(op byte, fin bool, payload []byte, mask bool) []byte {
	b := []byte{op, 0}
	if fin {
		b[0] |= 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b[1] = byte(n)
	case n < 1<<16:
		b[1] = 126
		b = append(b, byte(n>>8), byte(n))
	default:
		b[1] = 127
		b = append(b, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	if mask {
		b[1] |= 0x80
		b = append(b, 0, 0, 0, 0) // a mask of zeros leaves the payload as it is
	}
	return append(b, payload...)
}
