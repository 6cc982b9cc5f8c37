package e2e

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// crowd is the load of a balancer: clients that stay and hear the numbers that are
// published at a comet, and others that come and go. No request may fail. No number may
// come twice or out of order, and none be missed but by a client that moves.
type crowd struct {
	t            *testing.T
	net          string // they come from 127.0.NET.1 and so on: sockets have no cookies, and go by their address
	url, channel string
	clients      []*numbered

	// The balancer, which a test may replace, and what it had refused before.
	b       *cloud.Balancer
	refused float64

	// The publisher, while there is one; it ends when quiet is closed.
	publisher  *wire.Client
	quiet      chan struct{}
	published  chan int
	last, rate int // the last number, and how many there are in a second

	// Those who come and go, until left is closed.
	left  chan struct{}
	leave func() // closes it
	load  sync.WaitGroup
	anew  atomic.Int32 // visits in which one was told to handshake anew
}

var bothTransports = []client.Transport{client.WebSocket, client.LongPolling}

// newCrowd has n clients of each transport come through a balancer, by default of both,
// and waits until all have subscribed.
func newCrowd(t *testing.T, b *cloud.Balancer, net string, n int, transports ...client.Transport) *crowd {
	t.Helper()
	c := &crowd{t: t, net: net, url: b.URL(), channel: "/crowd/" + net, b: b, refused: b.Refused(), left: make(chan struct{})}
	c.leave = sync.OnceFunc(func() { close(c.left) })
	if len(transports) == 0 {
		transports = bothTransports
	}
	for i := range n {
		for _, transport := range transports {
			c.clients = append(c.clients, listenNumbered(t, c.url, transport, c.local(i+1), c.channel))
		}
	}
	// Also of a test that fails midway, nobody goes on when it has ended.
	t.Cleanup(func() {
		c.leave()
		c.load.Wait()
		c.silence()
	})
	c.until("all have subscribed", (*numbered).subscribed)
	return c
}

func (c *crowd) local(i int) string { return fmt.Sprintf("127.0.%s.%d", c.net, i) }

// until waits until all clients that stay are so.
func (c *crowd) until(what string, so func(*numbered) bool) {
	c.t.Helper()
	proc.Until(c.t, proc.Patience, what, func() error {
		var others []error
		for _, k := range c.clients {
			if !so(k) {
				others = append(others, k.state())
			}
		}
		if len(others) > 0 {
			return fmt.Errorf("%d of %d are not: %w, ...", len(others), len(c.clients), others[0])
		}
		return nil
	})
}

// spread wants the clients to be at more than one comet: otherwise a test of those who
// move, and of those who do not, shows little.
func (c *crowd) spread() {
	c.t.Helper()
	comets := map[string]int{}
	for _, k := range c.clients {
		k.note(func() { comets[k.tag]++ })
	}
	if len(comets) < 2 {
		c.t.Fatalf("the clients are at %v", comets)
	}
}

// at is how many of those who stay have their session at a comet.
func (c *crowd) at(tag string) (n int) {
	for _, k := range c.clients {
		if k.at(tag) {
			n++
		}
	}
	return n
}

// leaves waits until none of them is at a comet any more, gathers until all are.
func (c *crowd) leaves(tag string) {
	c.t.Helper()
	c.until("away from the comet", func(n *numbered) bool { return n.subscribed() && !n.at(tag) })
}

func (c *crowd) gathers(tag string) {
	c.t.Helper()
	c.until("at the comet that stays", func(n *numbered) bool { return n.subscribed() && n.at(tag) })
}

// hears begins to publish at a comet, so many numbers a second.
func (c *crowd) hears(at *cloud.Comet, rate int) {
	c.t.Helper()
	p := wire.New(c.t, at.URL())
	p.MustHandshake()
	c.publisher, c.rate, c.quiet, c.published = p, rate, make(chan struct{}), make(chan int, 1)
	go func() { c.published <- publishNumbers(c.t, p, c.channel, c.last, rate, c.quiet) }()
}

// silence ends the publisher, if there is one.
func (c *crowd) silence() {
	if c.publisher != nil {
		close(c.quiet)
		c.last = <-c.published
		c.publisher.Close()
		c.publisher = nil
	}
}

// heard ends the publisher, and waits until all have its last number.
func (c *crowd) heard() {
	c.t.Helper()
	c.silence()
	c.until("the last message", func(n *numbered) bool { return n.has(c.last) })
}

// moves is how often those who stay have handshaken anew.
func (c *crowd) moves() (n int) {
	for _, k := range c.clients {
		n += k.moved()
	}
	return n
}

// movers is how many of each transport have moved.
func (c *crowd) movers() map[client.Transport]int {
	movers := map[client.Transport]int{}
	for _, k := range c.clients {
		movers[k.transport] += min(k.moved(), 1)
	}
	return movers
}

// wantMovers wants clients of each transport to have moved: otherwise a test of moves has
// shown nothing.
func (c *crowd) wantMovers() {
	c.t.Helper()
	for transport, n := range c.movers() {
		if n == 0 {
			c.t.Errorf("%s: no client moved", transport)
		}
	}
}

// settle ends the load; when it returns all that was published has come.
func (c *crowd) settle() {
	c.t.Helper()
	c.leave()
	c.load.Wait()
	c.heard()
}

// end settles, and wants the clients to have missed nothing but by moves, which it tells
// of. Nobody may have been refused.
func (c *crowd) end() {
	c.t.Helper()
	c.settle()
	for _, transport := range bothTransports {
		clients, moves, missed, most := 0, 0, 0, 0
		for _, k := range c.clients {
			if k.transport == transport {
				m := k.missed(c.t, c.last)
				clients, moves, missed, most = clients+1, moves+k.moved(), missed+m, max(most, m)
			}
		}
		c.t.Logf("%s: %d clients moved %d times; of %d messages at %d a second they missed %d in all, at most %d each",
			transport, clients, moves, c.last, c.rate, missed, most)
	}
	if n := c.b.Refused() - c.refused; n != 0 {
		c.t.Errorf("%v requests were refused", n)
	}
}
