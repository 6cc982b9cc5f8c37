package rig

import (
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// sock is one connection. It belongs to its poller's goroutine.
type sock struct {
	fd   int
	slot int    // of the client's connections
	in   []byte // read, and not yet understood
	out  []byte // written as soon as the socket takes it

	tunnel, held bool  // of the backend
	due          int64 // of the client: when its request should have been sent
	waits        bool  // of the client: its message is on its way
}

// poller waits for many sockets at once.
type poller struct {
	ep, timer int
	socks     []*sock // by descriptor
	events    [512]unix.EpollEvent
	scratch   [64 << 10]byte

	// data is given what a socket has read: what it did not use of it before, and what
	// is new. It returns how much it has used.
	data func(s *sock, data []byte) (used int, err error)
	// gone is told of a socket that was closed by the other side, or broke; the socket
	// is closed and forgotten when it returns.
	gone func(s *sock, why error) error
	// accept is called when the listening socket, if there is one, is ready.
	listener int
	accept   func() error
}

func newPoller() (*poller, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		unix.Close(ep)
		return nil, fmt.Errorf("timerfd: %w", err)
	}
	p := &poller{ep: ep, timer: timer, listener: -1}
	if err := p.control(unix.EPOLL_CTL_ADD, timer, unix.EPOLLIN); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *poller) control(op, fd int, events uint32) error {
	if err := unix.EpollCtl(p.ep, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// add takes a socket that does not block.
func (p *poller) add(fd int) (*sock, error) {
	if err := p.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN); err != nil {
		return nil, err
	}
	for len(p.socks) <= fd {
		p.socks = append(p.socks, nil)
	}
	s := &sock{fd: fd}
	p.socks[fd] = s
	return s, nil
}

// drop closes a socket. It ends by a reset, so that no port waits in TIME_WAIT.
func (p *poller) drop(s *sock) {
	if p.socks[s.fd] != s {
		return
	}
	p.socks[s.fd] = nil
	unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(s.fd)
}

// close closes everything; a second time it does nothing.
func (p *poller) close() {
	if p.ep < 0 {
		return
	}
	for _, s := range p.socks {
		if s != nil {
			p.drop(s)
		}
	}
	p.socks = nil
	unix.Close(p.timer)
	unix.Close(p.ep)
	p.ep = -1
}

// write writes what the socket takes, and keeps the rest for later.
func (p *poller) write(s *sock, b []byte) error {
	if len(s.out) > 0 {
		s.out = append(s.out, b...)
		return nil
	}
	n, err := unix.Write(s.fd, b)
	switch {
	case err == nil && n == len(b):
		return nil
	case err == nil, errors.Is(err, unix.EAGAIN):
		s.out = append(s.out, b[max(n, 0):]...)
		return p.control(unix.EPOLL_CTL_MOD, s.fd, unix.EPOLLIN|unix.EPOLLOUT)
	}
	return fmt.Errorf("write: %w", err)
}

func (p *poller) flush(s *sock) error {
	n, err := unix.Write(s.fd, s.out)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("write: %w", err)
	}
	if s.out = s.out[max(n, 0):]; len(s.out) > 0 {
		return nil
	}
	s.out = nil
	return p.control(unix.EPOLL_CTL_MOD, s.fd, unix.EPOLLIN)
}

// wakeAt makes wait return at a moment of the monotonic clock, as now tells it.
func (p *poller) wakeAt(at int64) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(at, 1))}
	if err := unix.TimerfdSettime(p.timer, unix.TFD_TIMER_ABSTIME, &spec, nil); err != nil {
		return fmt.Errorf("timerfd: %w", err)
	}
	return nil
}

// now is the monotonic clock in nanoseconds.
func now() int64 {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // fails only for clocks that are not
	return ts.Nano()
}

// wait waits for something to happen, or for the time to be over, and deals with it.
func (p *poller) wait(most time.Duration) error {
	n, err := unix.EpollWait(p.ep, p.events[:], int(most.Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("epoll: %w", err)
	}
	for _, e := range p.events[:max(n, 0)] {
		switch fd := int(e.Fd); fd {
		case p.timer:
			var count [8]byte
			unix.Read(fd, count[:])
		case p.listener:
			if err := p.accept(); err != nil {
				return err
			}
		default:
			// A socket that was dropped meanwhile has no entry any more.
			if s := p.socks[fd]; s != nil {
				if err := p.ready(s, e.Events); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (p *poller) ready(s *sock, events uint32) error {
	if events&unix.EPOLLOUT != 0 {
		if err := p.flush(s); err != nil {
			return p.lost(s, err)
		}
	}
	if events&^unix.EPOLLOUT == 0 {
		return nil
	}
	n, err := unix.Read(s.fd, p.scratch[:])
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return p.lost(s, fmt.Errorf("read: %w", err))
	case n == 0:
		return p.lost(s, io.EOF)
	}
	data := p.scratch[:n]
	if len(s.in) > 0 {
		s.in = append(s.in, data...)
		data = s.in
	}
	used, err := p.data(s, data)
	if err != nil {
		return err
	}
	if rest := data[used:]; len(rest) == 0 {
		s.in = nil
	} else if used > 0 || len(s.in) == 0 {
		s.in = append([]byte(nil), rest...)
	}
	return nil
}

func (p *poller) lost(s *sock, why error) error {
	err := p.gone(s, why)
	p.drop(s)
	return err
}
