package rig

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Backend answers, holds and echoes.
type Backend struct {
	*poller
	holding []*sock
	tunnels int

	mu       sync.Mutex
	commands []string // guarded by mu
	wake     int      // an eventfd: there are some
}

// NewBackend listens on a free port of 127.0.0.1.
func NewBackend() (b *Backend, addr string, err error) {
	p, err := newPoller()
	if err != nil {
		return nil, "", err
	}
	b = &Backend{poller: p}
	p.data, p.gone, p.accept = b.read, b.left, b.come
	if p.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, "", fmt.Errorf("socket: %w", err)
	}
	if err := unix.Bind(p.listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, "", fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(p.listener, 4096); err != nil {
		return nil, "", fmt.Errorf("listen: %w", err)
	}
	at, err := unix.Getsockname(p.listener)
	if err != nil {
		return nil, "", fmt.Errorf("getsockname: %w", err)
	}
	if b.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return nil, "", fmt.Errorf("eventfd: %w", err)
	}
	if err := p.control(unix.EPOLL_CTL_ADD, p.listener, unix.EPOLLIN); err != nil {
		return nil, "", err
	}
	if _, err := p.add(b.wake); err != nil {
		return nil, "", err
	}
	return b, net.JoinHostPort("127.0.0.1", fmt.Sprint(at.(*unix.SockaddrInet4).Port)), nil
}

// Run serves, and obeys the lines of in, until in ends: `answer` answers all that is
// held, `count` tells how much there is. Each is answered by one line.
func (b *Backend) Run(in io.Reader, out io.Writer) error {
	ended := make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(in)
		for lines.Scan() {
			b.command(lines.Text())
		}
		ended <- lines.Err()
		b.command("")
	}()
	for {
		if err := b.wait(time.Hour); err != nil {
			return err
		}
		b.mu.Lock()
		commands := b.commands
		b.commands = nil
		b.mu.Unlock()
		for _, c := range commands {
			switch c {
			case "answer":
				n := len(b.holding)
				b.answer()
				fmt.Fprintf(out, "answered %d\n", n)
			case "count":
				fmt.Fprintf(out, "held %d tunnels %d\n", len(b.holding), b.tunnels)
			case "":
				return <-ended
			default:
				return fmt.Errorf("command %q", c)
			}
		}
	}
}

// command hands a line to the loop.
func (b *Backend) command(line string) {
	b.mu.Lock()
	b.commands = append(b.commands, line)
	b.mu.Unlock()
	unix.Write(b.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

func (b *Backend) come() error {
	for {
		fd, _, err := unix.Accept4(b.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.ECONNABORTED), errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("accept: %w", err)
		}
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if _, err := b.add(fd); err != nil {
			return err
		}
	}
}

func (b *Backend) left(s *sock, _ error) error {
	if s.tunnel {
		b.tunnels--
	}
	if s.held {
		b.holding = remove(b.holding, s)
	}
	return nil
}

func remove(all []*sock, s *sock) []*sock {
	for i, other := range all {
		if other == s {
			all[i] = all[len(all)-1]
			return all[:len(all)-1]
		}
	}
	return all
}

func (b *Backend) answer() {
	all := b.holding
	b.holding = nil
	for _, s := range all {
		s.held = false
		if err := b.write(s, reply); err != nil {
			b.lost(s, err)
		}
	}
}

// read takes requests, or frames. What it does not understand ends the program: a
// measurement must not go on after it.
func (b *Backend) read(s *sock, data []byte) (used int, err error) {
	if s.fd == b.wake {
		return len(data), nil
	}
	for used < len(data) {
		var n int
		if s.tunnel {
			n, err = b.echo(s, data[used:])
		} else {
			n, err = b.request(s, data[used:])
		}
		if n == 0 || err != nil {
			return used, err
		}
		used += n
	}
	return used, nil
}

func (b *Backend) echo(s *sock, data []byte) (int, error) {
	payload, size, err := readFrame(data)
	if size == 0 || err != nil {
		return 0, err
	}
	return size, b.write(s, frame(payload, false))
}

func (b *Backend) request(s *sock, data []byte) (int, error) {
	h, size, err := readHead(data)
	if size == 0 || err != nil || len(data) < size+h.length {
		return 0, err
	}
	body := data[size : size+h.length]
	switch {
	case h.websocket:
		s.tunnel = true
		b.tunnels++
		err = b.write(s, fmt.Appendf(nil, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", acceptKey(h.key)))
	case bytes.Contains(body, []byte(`"/meta/connect"`)) && bytes.Contains(body, []byte(aClientID)):
		s.held = true
		b.holding = append(b.holding, s)
	default: // a publish, or a check
		err = b.write(s, reply)
	}
	return size + h.length, err
}
