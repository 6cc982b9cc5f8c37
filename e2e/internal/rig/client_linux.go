package rig

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Client is many connections to one address.
type Client struct {
	*poller
	all []*sock
	// answered is what a run does with an answer, given when it was read.
	answered func(s *sock, at int64) error
}

// Dial opens n connections. They come from first on, n addresses of 127.0.0.0/8.
func Dial(target netip.AddrPort, first, n int) (*Client, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	c := &Client{poller: p}
	p.data, p.gone = c.readAnswers, func(s *sock, why error) error {
		return fmt.Errorf("connection %d: %w", s.slot, why)
	}
	for i := range n {
		s, err := c.dial(target, LocalAddress(first+i))
		if err != nil {
			c.Close()
			return nil, fmt.Errorf("connection %d of %d: %w", i+1, n, err)
		}
		s.slot = i
		c.all = append(c.all, s)
	}
	return c, nil
}

// LocalAddress is that of client n, up to 64,000: from 127.2.0.1 on.
func LocalAddress(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 2 + byte(n/254>>8), byte(n / 254), byte(n%254 + 1)})
}

func (c *Client) dial(target netip.AddrPort, from netip.Addr) (*sock, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	s, err := c.connect(fd, target, from)
	if err != nil {
		unix.Close(fd)
	}
	return s, err
}

func (c *Client) connect(fd int, target netip.AddrPort, from netip.Addr) (*sock, error) {
	// The port is chosen when the other end is known: it need not be unique before.
	if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return nil, fmt.Errorf("IP_BIND_ADDRESS_NO_PORT: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4()}); err != nil {
		return nil, fmt.Errorf("bind %v: %w", from, err)
	}
	err := unix.Connect(fd, &unix.SockaddrInet4{Addr: target.Addr().As4(), Port: int(target.Port())})
	if errors.Is(err, unix.EINPROGRESS) {
		err = connected(fd)
	}
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	return c.add(fd)
}

// connected waits until a connection stands, or does not.
func connected(fd int) error {
	deadline := now() + int64(20*time.Second)
	for now() < deadline {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 1000)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if n > 0 {
			failed, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
			if err == nil && failed != 0 {
				err = unix.Errno(failed)
			}
			return err
		}
	}
	return unix.ETIMEDOUT
}

// Close closes all connections.
func (c *Client) Close() { c.close() }

// readAnswers takes answers to posts: 200 and the backend's words, or an error.
func (c *Client) readAnswers(s *sock, data []byte) (used int, err error) {
	h, size, err := readHead(data)
	if size == 0 || err != nil || len(data) < size+h.length {
		return 0, err
	}
	body := data[size : size+h.length]
	if !bytes.HasPrefix(h.first, []byte("HTTP/1.1 200 ")) || string(body) != ReplyBody {
		return 0, fmt.Errorf("connection %d: answered by %q", s.slot, data)
	}
	if len(data) > size+h.length {
		return 0, fmt.Errorf("connection %d: more than one answer: %q", s.slot, data)
	}
	return size + h.length, c.answered(s, now())
}

// until waits until done says so, or the time is over.
func (c *Client) until(within time.Duration, what string, done func() bool) error {
	deadline := now() + int64(within)
	for !done() {
		left := deadline - now()
		if left <= 0 {
			return fmt.Errorf("not within %v: %s", within, what)
		}
		if err := c.wait(min(time.Duration(left), 100*time.Millisecond)); err != nil {
			return err
		}
	}
	return nil
}

var errNobody = errors.New("no connections")
