package park

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Conn is a connection that can wait in a Set. Its methods may be called from any
// goroutine.
type Conn struct {
	// Fixed after construction.
	set *Set
	raw syscall.RawConn

	// Guarded by the set.
	waker      Waker // nil: not armed
	events     Events
	slot, turn int32
}

// Conn makes a connection ready to wait. It is false when that cannot be: it is no
// plain TCP or Unix socket (but TLS, or a wrapper, which may hold bytes of its own),
// or Run does not run. Its caller then waits in a goroutine.
func (s *Set) Conn(c net.Conn) (*Conn, bool) {
	var raw syscall.RawConn
	var err error
	switch c := c.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	default:
		return nil, false
	}
	if err != nil {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Conn{set: s, raw: raw}, s.epoll != nil
}

// Arm waits for events, once, and has w told. It replaces what was armed before.
func (c *Conn) Arm(e Events, w Waker) {
	s := c.set
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		go w.Woken(Hangup | Ended)
		return
	}
	s.enterLocked(c, e, w)
	s.registerLocked(c, c.slot)
}

// Disarm takes an arming back. It tells whether Woken will not be called; otherwise
// it has been, or is about to return, or nothing was armed.
//
// The system is not told: its event, should it come, finds nobody.
func (c *Conn) Disarm() bool {
	s := c.set
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.waker != nil && s.takeLocked(c.slot, c.turn) != nil
}

// TryRead reads what is there: ErrAgain when that is nothing, io.EOF at the end.
func (c *Conn) TryRead(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	o := calls.Get().(*call)
	defer o.done()
	o.buf = p
	if err := c.raw.Control(o.read); err != nil {
		return 0, err
	}
	switch {
	case o.err != nil:
		return 0, again(o.err)
	case o.n == 0:
		return 0, io.EOF
	}
	return o.n, nil
}

// TryWrite writes what there is room for: n < len(p) with ErrAgain when that is not
// all.
func (c *Conn) TryWrite(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	o := calls.Get().(*call)
	defer o.done()
	o.buf = p
	if err := c.raw.Control(o.write); err != nil {
		return 0, err
	}
	switch {
	case o.err != nil:
		return 0, again(o.err)
	case o.n < len(p):
		return o.n, ErrAgain
	}
	return o.n, nil
}

// Left tells whether the other side has closed the connection, or its sending half, and
// nothing of what it sent is left to be read.
func (c *Conn) Left() bool {
	o := calls.Get().(*call)
	defer o.done()
	err := c.raw.Control(o.peek)
	switch {
	case err != nil:
		return true
	case o.err != nil:
		return !errors.Is(o.err, syscall.EAGAIN)
	}
	return o.n == 0
}

func again(err error) error {
	if errors.Is(err, syscall.EAGAIN) {
		return ErrAgain
	}
	return err
}

// call is one system call, with the functions that make it, so that neither has to
// be allocated, or kept in each Conn.
type call struct {
	// Fixed after construction.
	enter, register, read, peek, write func(fd uintptr)

	raw   syscall.RawConn
	event unix.EpollEvent
	epoll int
	buf   []byte
	one   [1]byte
	n     int
	err   error
}

var calls = sync.Pool{New: func() any {
	o := new(call)
	o.enter = func(epoll uintptr) {
		o.epoll = int(epoll)
		if err := o.raw.Control(o.register); err != nil {
			o.err = err
		}
	}
	// A socket stays in the set from its first arming until it is closed.
	o.register = func(fd uintptr) {
		o.err = unix.EpollCtl(o.epoll, unix.EPOLL_CTL_MOD, int(fd), &o.event)
		if errors.Is(o.err, syscall.ENOENT) {
			o.err = unix.EpollCtl(o.epoll, unix.EPOLL_CTL_ADD, int(fd), &o.event)
		}
	}
	o.read = func(fd uintptr) {
		for {
			if o.n, o.err = unix.Read(int(fd), o.buf); !errors.Is(o.err, syscall.EINTR) {
				return
			}
		}
	}
	o.peek = func(fd uintptr) {
		for {
			if o.n, _, o.err = unix.Recvfrom(int(fd), o.one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT); !errors.Is(o.err, syscall.EINTR) {
				return
			}
		}
	}
	o.write = func(fd uintptr) {
		for {
			if o.n, o.err = unix.Write(int(fd), o.buf); !errors.Is(o.err, syscall.EINTR) {
				return
			}
		}
	}
	return o
}}

func (o *call) done() {
	o.raw, o.buf, o.n, o.err = nil, nil, 0, nil
	calls.Put(o)
}

func wanted(e Events) uint32 {
	bits := uint32(unix.EPOLLRDHUP | unix.EPOLLONESHOT)
	if e&Readable != 0 {
		bits |= unix.EPOLLIN
	}
	if e&Writable != 0 {
		bits |= unix.EPOLLOUT
	}
	return bits
}

func happened(bits uint32) (e Events) {
	if bits&unix.EPOLLIN != 0 {
		e |= Readable
	}
	if bits&unix.EPOLLOUT != 0 {
		e |= Writable
	}
	if bits&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		e |= Hangup
	}
	return e
}
