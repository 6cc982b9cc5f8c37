//go:build unix

package balancer

import (
	"io"
	"net"
	"os"
	"syscall"
)

// canPeek says that a header can be looked at without taking what follows it along.
const canPeek = true

// peekProxy waits until it is certain whether a connection begins with a PROXY header,
// and for the whole of it. Nothing is taken from the connection.
func peekProxy(conn *net.TCPConn, buf []byte) (n int, span proxySpan, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, spanMore, err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		for {
			got, _, err := syscall.Recvfrom(int(fd), buf, syscall.MSG_PEEK)
			switch {
			case err == syscall.EINTR:
				continue
			case err == syscall.EAGAIN:
				return false
			case err != nil:
				failed = os.NewSyscallError("recvfrom", err)
			case got == 0:
				failed = io.EOF
			default:
				n, span = spanOf(buf[:got])
				return span != spanMore // what comes then wakes us again
			}
			return true
		}
	})
	if err == nil {
		err = failed
	}
	return n, span, err
}
