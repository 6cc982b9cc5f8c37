package park

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Sock is a TCP socket in a [Loop]. It is a value to be embedded in what it is for, and
// must not be moved or copied while it is open. The zero value is closed.
type Sock struct {
	loop       *Loop // nil: closed
	handler    Handler
	fd         int
	slot, turn int32
	dialing    bool
	pending    bool
	err        error // of the dial

	// the deadline
	in         *Timeouts // nil: none
	prev, next *Sock
	due        time.Duration
}

// Adopt takes a connection over: it is out of the hands of the Go runtime then, and conn
// is closed (its Close is not called on the way: that of the TCP connection itself is).
// On failure conn is as it was.
func (l *Loop) Adopt(s *Sock, conn *net.TCPConn, h Handler) error {
	if l.file == nil {
		return ErrNoLoop
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("park: adopt: %w", err)
	}
	var failed error
	fd := -1
	if err := raw.Control(func(own uintptr) {
		for {
			if fd, failed = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0); !tooMany(failed) || !l.spare.take() {
				return
			}
		}
	}); err != nil || failed != nil {
		return fmt.Errorf("park: adopt: %w", errors.Join(err, failed))
	}
	*s = Sock{loop: l, handler: h, fd: fd}
	if err := l.enter(s); err != nil {
		unix.Close(fd)
		s.loop = nil
		return fmt.Errorf("park: adopt: %w", err)
	}
	conn.Close()
	l.spare.fill()
	return nil
}

// Dial begins a connection and does not wait for it: the handler is told Writable when
// it stands, or Hangup when it does not (see Err). A failure that shows at once is
// returned, as that of a full table of descriptors is.
func (l *Loop) Dial(s *Sock, addr netip.AddrPort, h Handler) error {
	if l.file == nil {
		return ErrNoLoop
	}
	family, to := sockaddr(addr)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	// As the net package does.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepIdle)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepIdle)
	if err := unix.Connect(fd, to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		unix.Close(fd)
		return os.NewSyscallError("connect", err)
	}
	*s = Sock{loop: l, handler: h, fd: fd, dialing: true}
	if err := l.enter(s); err != nil {
		unix.Close(fd)
		s.loop = nil
		return fmt.Errorf("park: dial: %w", err)
	}
	return nil
}

// keepIdle is that of net.Dialer, in seconds.
const keepIdle = 15

func sockaddr(addr netip.AddrPort) (family int, to unix.Sockaddr) {
	if ip := addr.Addr().Unmap(); ip.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: ip.As4()}
	}
	to6 := &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	if zone := addr.Addr().Zone(); zone != "" {
		if i, err := net.InterfaceByName(zone); err == nil {
			to6.ZoneId = uint32(i.Index)
		}
	}
	return unix.AF_INET6, to6
}

// Loop is where the socket is; nil when it is closed.
func (s *Sock) Loop() *Loop { return s.loop }

// Open tells whether the socket is in its loop.
func (s *Sock) Open() bool { return s.loop != nil }

// Err is why a dial failed.
func (s *Sock) Err() error { return s.err }

// Read reads what is there: ErrAgain when that is nothing, io.EOF at the end.
func (s *Sock) Read(p []byte) (int, error) {
	if s.loop == nil {
		return 0, net.ErrClosed
	}
	n, errno := rawRead(s.fd, p)
	switch {
	case errno == syscall.EAGAIN:
		return 0, ErrAgain
	case errno != 0:
		return 0, os.NewSyscallError("read", errno)
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write writes what there is room for: n < len(p) with ErrAgain when that is not all.
// Writable tells when there is more.
func (s *Sock) Write(p []byte) (int, error) {
	if s.loop == nil {
		return 0, net.ErrClosed
	}
	written := 0
	for written < len(p) {
		n, errno := rawSend(s.fd, p[written:])
		switch {
		case errno == syscall.EAGAIN:
			return written, ErrAgain
		case errno != 0:
			return written, os.NewSyscallError("write", errno)
		}
		written += n
	}
	return written, nil
}

// Quiet tells whether the socket is open on the other side, with nothing to read.
func (s *Sock) Quiet() bool {
	if s.loop == nil {
		return false
	}
	return rawPeek(s.fd) == syscall.EAGAIN
}

// Pending tells whether the handler is still to be told, in this turn of the loop, that
// something can be read: bytes, or the end. It costs no call of the system; what has come
// since the turn began it does not know, as [Sock.Quiet] does.
func (s *Sock) Pending() bool { return s.pending }

// Control calls f with the descriptor, for options of the socket.
func (s *Sock) Control(f func(fd uintptr)) error {
	if s.loop == nil {
		return net.ErrClosed
	}
	f(uintptr(s.fd))
	return nil
}

// CloseWrite ends what this side sends.
func (s *Sock) CloseWrite() error {
	if s.loop == nil {
		return net.ErrClosed
	}
	return os.NewSyscallError("shutdown", unix.Shutdown(s.fd, unix.SHUT_WR))
}

// Close closes the socket; more than once is harmless.
func (s *Sock) Close() {
	if s.loop == nil {
		return
	}
	s.leave()
	unix.Close(s.fd) // it is out of the epoll set thereby: the descriptor is the only one
	s.fd = -1
}

// Abort closes the socket so that the other side is told by a reset.
func (s *Sock) Abort() {
	if s.loop == nil {
		return
	}
	_ = unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	s.Close()
}

// Release gives the socket to the Go runtime, as a connection like any other. The Sock
// is closed; after a failure, so is the connection.
func (s *Sock) Release() (net.Conn, error) {
	if s.loop == nil {
		return nil, net.ErrClosed
	}
	l := s.loop
	s.leave()
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, s.fd, nil) // it is there
	file := os.NewFile(uintptr(s.fd), "")
	s.fd = -1
	conn, err := net.FileConn(file) // of a duplicate
	for tooMany(err) && l.spare.take() {
		conn, err = net.FileConn(file)
	}
	file.Close()
	l.spare.fill()
	if err != nil {
		return nil, fmt.Errorf("park: release: %w", err)
	}
	return conn, nil
}

func (s *Sock) leave() {
	s.ClearTimeout()
	l := s.loop
	l.slots[s.slot] = nil
	l.free = append(l.free, s.slot)
	s.loop = nil
}
