//go:build linux && race

package park

import (
	"errors"
	"syscall"
)

// The race detector takes what one goroutine writes to a connection and another reads
// from it for an order between the two. It does so in the calls of package syscall.

func rawRead(fd int, p []byte) (int, syscall.Errno) { return detected(syscall.Read, fd, p) }

func rawSend(fd int, p []byte) (int, syscall.Errno) { return detected(syscall.Write, fd, p) }

func detected(call func(int, []byte) (int, error), fd int, p []byte) (int, syscall.Errno) {
	for {
		n, err := call(fd, p)
		var errno syscall.Errno
		switch {
		case err == nil:
			return n, 0
		case !errors.As(err, &errno):
			return 0, syscall.EIO
		case errno != syscall.EINTR:
			return 0, errno
		}
	}
}
