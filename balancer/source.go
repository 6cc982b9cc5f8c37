package balancer

import (
	"net"
	"sync"
	"syscall"
)

// chunkSize is how much is read at once. It is a pooled buffer, in use only while
// bytes are on their way.
const chunkSize = 16 << 10

// chunk is a borrowed buffer.
type chunk struct {
	buf [chunkSize]byte
	n   int
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

func (c *chunk) bytes() []byte { return c.buf[:c.n] }
func (c *chunk) free()         { chunks.Put(c) }

// source reads a connection and owns no buffer while it waits: held polls and idle
// tunnels are what a balancer has most of. One goroutine at a time may use it.
type source struct {
	conn net.Conn
	raw  syscall.RawConn // nil when the connection is no plain socket

	// What try leaves behind.
	got *chunk
	err error
	// over says that the end came together with the last bytes.
	over bool
	try  func(fd uintptr) bool // made once: a closure for each read would be garbage
}

func newSource(conn net.Conn) *source {
	s := &source{conn: conn}
	if sc, ok := conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			s.raw = raw
		}
	}
	s.try = s.tryRead
	return s
}

// next waits for bytes. The chunk is the caller's until he frees it. Deadlines of
// the connection hold; the end of the stream is io.EOF.
func (s *source) next() (*chunk, error) {
	if s.raw == nil || !lazyReads {
		c := chunks.Get().(*chunk)
		n, err := s.conn.Read(c.buf[:])
		if n == 0 {
			c.free()
			return nil, err
		}
		c.n, s.over = n, err != nil
		return c, nil
	}
	err := s.raw.Read(s.try)
	got := s.got
	if err == nil {
		err = s.err
	}
	s.got, s.err = nil, nil
	return got, err
}
