package park

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// spare is descriptors that stand for nothing. A socket needs a second descriptor for a
// moment when it comes into a loop or leaves it; where the process may open no more, one
// of these gives up its place. It is had again at once, since the first is closed then. That
// there are several is for the case that another goroutine is quicker to take it.
type spare struct{ files []int }

const spares = 4

// fill opens those that are missing, as far as it can.
func (s *spare) fill() {
	for len(s.files) < spares {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			return
		}
		s.files = append(s.files, fd)
	}
}

// take closes one; false when there is none.
func (s *spare) take() bool {
	n := len(s.files)
	if n == 0 {
		return false
	}
	unix.Close(s.files[n-1])
	s.files = s.files[:n-1]
	return true
}

// end closes all.
func (s *spare) end() {
	for s.take() {
	}
}

// tooMany tells whether a call failed because too many descriptors are open.
func tooMany(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
