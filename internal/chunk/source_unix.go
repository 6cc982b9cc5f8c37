//go:build unix

package chunk

import (
	"io"
	"os"
	"syscall"
)

const lazyReads = true

// tryRead is called by the runtime's poller: at once, and then whenever the socket
// has become readable. Only here is a buffer taken, and given back when there was
// nothing; false lets the goroutine wait on.
func (s *Source) tryRead(fd uintptr) bool {
	c := Get()
	for {
		n, err := syscall.Read(int(fd), c.Buf[:])
		switch {
		case err == syscall.EINTR:
			continue
		case n > 0:
			c.n, s.got = n, c
			return true
		case err == syscall.EAGAIN:
			c.Free()
			return false
		case err == nil:
			s.err = io.EOF
		default:
			s.err = os.NewSyscallError("read", err)
		}
		c.Free()
		return true
	}
}
