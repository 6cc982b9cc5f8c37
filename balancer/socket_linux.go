package balancer

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// quiet tells whether an idle connection is as it should be: open, with nothing to
// read. Bytes that nobody asked for are as bad as an end: what came next on this
// connection would be taken for the answer to another request.
func quiet(raw syscall.RawConn) bool {
	ok := false
	err := raw.Read(func(fd uintptr) bool {
		var one [1]byte
		for {
			_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			if err == unix.EINTR {
				continue
			}
			ok = err == unix.EAGAIN
			return true
		}
	})
	return err == nil && ok
}

// bytesAcked is how many bytes the other side has acknowledged since the
// connection was made (tcpi_bytes_acked, since Linux 4.2); it outlives a reset.
func bytesAcked(raw syscall.RawConn) (n uint64, known bool) {
	err := raw.Control(func(fd uintptr) { n, known = bytesAckedFd(fd) })
	return n, known && err == nil
}

func bytesAckedFd(fd uintptr) (n uint64, known bool) {
	info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, false
	}
	return info.Bytes_acked, true
}
