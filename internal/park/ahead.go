package park

import "sync"

// ahead is a buffer for what a line reads at the beginning of a request.
//
// An HTTP server that is to use little memory (see fasthttp's ReduceMemoryUsage) waits
// for a request by reading one byte, and has a large buffer only while it reads the
// rest. That would be one more system call for each request.
type ahead struct {
	buf  [2048]byte
	r, w int // what is between them has not been taken
}

var aheads = sync.Pool{New: func() any { return new(ahead) }}

// readAhead reads the beginning of the next request, of which p is the first byte.
func (c *Line) readAhead(p []byte) (int, error) {
	a := aheads.Get().(*ahead)
	n, err := c.beginning(a.buf[:])
	if n == 0 {
		aheads.Put(a)
		return 0, err
	}
	a.r, a.w = 0, n
	c.ahead = a
	return c.takeAhead(p), nil
}

// takeAhead takes from what has been read ahead.
func (c *Line) takeAhead(p []byte) int {
	a := c.ahead
	n := copy(p, a.buf[a.r:a.w])
	if a.r += n; a.r == a.w {
		c.ahead = nil
		aheads.Put(a)
	}
	return n
}
