package park

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls on sockets that never wait are made without telling the scheduler, which
// would get ready for a call that does, and costs a twentieth of each.

// nothing is where an empty slice points.
var nothing byte

func start(p []byte) unsafe.Pointer {
	if len(p) == 0 {
		return unsafe.Pointer(&nothing)
	}
	return unsafe.Pointer(&p[0])
}

// rawPeek is EAGAIN when there is nothing to read.
func rawPeek(fd int) syscall.Errno {
	var one [1]byte
	for {
		_, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(start(one[:])), 1,
			syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
		if errno != syscall.EINTR {
			return errno
		}
	}
}

// rawWake adds to an eventfd.
func rawWake(fd int) {
	one := [8]byte{1}
	// It fails only when it has been called 2^64 times and nobody has looked.
	_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(start(one[:])), uintptr(len(one)))
}

// epollNow takes what has happened and does not wait.
func epollNow(epoll int, events []unix.EpollEvent) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), 0, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case syscall.EINTR:
		return 0, nil
	}
	return 0, errno
}
