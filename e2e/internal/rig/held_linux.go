package rig

import (
	"bytes"
	"fmt"
	"time"
)

// Hold sends one poll on each connection, a few at a time: arrived waits until the backend has so
// many.
func (c *Client) Hold(requests [][]byte, arrived func(n int) error) error {
	const atOnce = 64
	for n, s := range c.all {
		if err := c.write(s, requests[s.slot]); err != nil {
			return err
		}
		if n++; n%atOnce == 0 || n == len(c.all) {
			if err := arrived(n); err != nil {
				return err
			}
		}
	}
	return c.Stay()
}

// Stay deals with what has come in, which should be nothing: a connection that was closed or a poll
// that was answered is an error.
func (c *Client) Stay() error {
	c.answered = func(s *sock, _ int64) error {
		return fmt.Errorf("connection %d: answered too soon", s.slot)
	}
	return c.wait(0)
}

// Wave waits until each poll is answered; each comes back at once. release tells the backend to
// answer.
func (c *Client) Wave(requests [][]byte, release func() error, within time.Duration) error {
	answered := 0
	c.answered = func(s *sock, _ int64) error {
		answered++
		return c.write(s, requests[s.slot])
	}
	if err := release(); err != nil {
		return err
	}
	if err := c.until(within, "all polls answered", func() bool { return answered == len(c.all) }); err != nil {
		return fmt.Errorf("%w (%d of %d)", err, answered, len(c.all))
	}
	return nil
}

// Upgrade makes each connection a WebSocket, a few at a time.
func (c *Client) Upgrade(cookies []string, within time.Duration) error {
	const atOnce = 64
	granted, asked := 0, 0
	ask := func() error {
		if asked == len(c.all) {
			return nil
		}
		s := c.all[asked]
		asked++
		return c.write(s, upgrade(cookies[s.slot]))
	}
	c.data = func(s *sock, data []byte) (int, error) {
		h, size, err := readHead(data)
		if size == 0 || err != nil {
			return 0, err
		}
		if !bytes.HasPrefix(h.first, []byte("HTTP/1.1 101 ")) || !h.websocket || string(h.accept) != acceptKey([]byte(webSocketKey)) || len(data) > size {
			return 0, fmt.Errorf("connection %d: upgrade answered by %q", s.slot, data)
		}
		granted++
		return size, ask()
	}
	for range atOnce {
		if err := ask(); err != nil {
			return err
		}
	}
	if err := c.until(within, "all upgrades granted", func() bool { return granted == len(c.all) }); err != nil {
		return fmt.Errorf("%w (%d of %d)", err, granted, len(c.all))
	}
	return nil
}

// EchoEach sends one message of size bytes through each tunnel, a few at a time, and wants it back.
func (c *Client) EchoEach(size int, within time.Duration) error {
	const atOnce = 64
	sent := 0
	return c.echo(size, len(c.all), min(atOnce, len(c.all)), within, func(*sock) *sock {
		sent++
		return c.all[sent-1]
	})
}

// Echo sends so many messages of size bytes, through each tunnel the next as soon as the one before it
// is back, and returns how long that took.
func (c *Client) Echo(size, total int, within time.Duration) (time.Duration, error) {
	begun := 0
	began := now()
	err := c.echo(size, total, min(total, len(c.all)), within, func(s *sock) *sock {
		if s == nil {
			begun++
			s = c.all[begun-1]
		}
		return s
	})
	return time.Duration(now() - began), err
}

// echo has atOnce messages on their way until it has sent total of them. next says which tunnel
// takes one, given that whose message is back, or nil at the beginning.
func (c *Client) echo(size, total, atOnce int, within time.Duration, next func(*sock) *sock) error {
	message := frame(bytes.Repeat([]byte("m"), size), true)
	sent, echoed := 0, 0
	send := func(back *sock) error {
		if sent == total {
			return nil
		}
		sent++
		s := next(back)
		s.waits = true
		return c.write(s, message)
	}
	c.data = func(s *sock, data []byte) (int, error) {
		payload, used, err := readFrame(data)
		if used == 0 || err != nil {
			return 0, err
		}
		if len(payload) != size || payload[0] != 'm' || used != len(data) || !s.waits {
			return 0, fmt.Errorf("tunnel %d: echo of %d bytes, %d read", s.slot, len(payload), len(data))
		}
		s.waits = false
		echoed++
		return used, send(s)
	}
	for range atOnce {
		if err := send(nil); err != nil {
			return err
		}
	}
	if err := c.until(within, "all messages echoed", func() bool { return echoed == total }); err != nil {
		return fmt.Errorf("%w (%d of %d)", err, echoed, total)
	}
	return nil
}
