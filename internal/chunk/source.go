package chunk

import (
	"net"
	"syscall"
)

// Source reads a connection and owns no buffer while it waits. One goroutine at a time
// may use it.
type Source struct {
	conn net.Conn
	raw  syscall.RawConn

	// What try leaves behind.
	got  *Chunk
	err  error
	over bool
	try  func(fd uintptr) bool // made once: a closure for each read would be garbage
}

// NewSource is a source that reads a connection.
func NewSource(conn net.Conn) *Source {
	s := &Source{conn: conn}
	if sc, ok := conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			s.raw = raw
		}
	}
	s.try = s.tryRead
	return s
}

// Raw is the socket that is read; nil when the connection is no plain socket.
func (s *Source) Raw() syscall.RawConn { return s.raw }

// Over says that the end came together with the last bytes.
func (s *Source) Over() bool { return s.over }

// Next waits for bytes. The chunk is the caller's until he frees it. Deadlines of
// the connection hold; the end of the stream is io.EOF.
func (s *Source) Next() (*Chunk, error) {
	if s.raw == nil || !lazyReads {
		c := Get()
		n, err := s.conn.Read(c.Buf[:])
		if n == 0 {
			c.Free()
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
