package cut

import "bytes"

// A Filter is given the bytes of one direction in their order, of all connections together,
// and says how many of them pass. The rest is dropped, and so is all that comes after it.
type Filter func(p []byte) (pass int)

// Nothing passes nothing.
func Nothing() Filter { return func([]byte) int { return 0 } }

// Bytes passes n bytes: over WebSocket, less than a frame.
func Bytes(n int) Filter {
	return func(p []byte) int {
		pass := min(n, len(p))
		n -= pass
		return pass
	}
}

// Body passes the header of an HTTP answer and n bytes of its body.
func Body(n int) Filter {
	end := []byte("\r\n\r\n")
	var head []byte
	var body Filter
	return func(p []byte) int {
		if body != nil {
			return body(p)
		}
		before := len(head)
		head = append(head, p...)
		i := bytes.Index(head, end)
		if i < 0 {
			return len(p)
		}
		body = Bytes(n)
		rest := i + len(end) - before
		return rest + body(p[rest:])
	}
}

// Frames passes n whole WebSocket frames of a server, which are not masked. The first byte
// that it is given must begin a frame.
func Frames(n int) Filter {
	var header []byte // of the frame that has begun
	left := 0         // bytes of its payload that are to come
	return func(p []byte) (pass int) {
		for len(p) > 0 && (n > 0 || left > 0) {
			if left > 0 {
				k := min(left, len(p))
				left, pass, p = left-k, pass+k, p[k:]
				continue
			}
			header, pass, p = append(header, p[0]), pass+1, p[1:]
			if payload, ok := length(header); ok {
				header, left, n = header[:0], payload, n-1
			}
		}
		return pass
	}
}

// length reads the length of a payload, once its header is whole.
func length(header []byte) (n int, ok bool) {
	if len(header) < 2 {
		return 0, false
	}
	n = int(header[1] & 0x7f)
	size := map[int]int{126: 2, 127: 8}[n]
	if len(header) < 2+size {
		return 0, false
	}
	if size == 0 {
		return n, true
	}
	n = 0
	for _, b := range header[2:] {
		n = n<<8 | int(b)
	}
	return n, true
}
