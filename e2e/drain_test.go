package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
	"github.com/halleycomet/halley/internal/testenv"
)

// numbered is a client that notes the numbers that come on a channel, and subscribes
// anew when it had to handshake anew.
type numbered struct {
	transport client.Transport
	client    *client.Client

	mu sync.Mutex
	// guarded by mu
	numbers []int
	moves   []int  // how many numbers it had at each handshake
	tag     string // of the comet, with which its clientId begins
	ready   bool   // subscribed, after the last handshake
	failed  error
}

func listenNumbered(t *testing.T, url string, transport client.Transport, local, channel string) *numbered {
	t.Helper()
	n := &numbered{transport: transport}
	cfg := client.DefaultConfig(url)
	cfg.Transports = []client.Transport{transport}
	cfg.Dial = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}).DialContext
	cfg.OnHandshake = func(r client.Reply) {
		n.note(func() { n.moves, n.ready, n.tag = append(n.moves, len(n.numbers)), false, r.ClientID[:8] })
	}
	cfg.OnConnect = func() { n.subscribe(t.Context(), channel) }
	cfg.OnMessage = func(m *bayeux.Message) {
		i, err := strconv.Atoi(string(m.Data))
		n.note(func() { n.numbers, n.failed = append(n.numbers, i), errors.Join(n.failed, err) })
	}
	var err error
	if n.client, err = client.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.client.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return n
}

func (n *numbered) note(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

func (n *numbered) subscribe(ctx context.Context, channel string) {
	n.mu.Lock()
	ready := n.ready
	n.mu.Unlock()
	if ready {
		return
	}
	replies, err := n.client.Batch(ctx, []client.Request{client.SubscribeRequest(channel)})
	if err == nil {
		err = replies[0].Err()
	}
	n.note(func() { n.ready, n.failed = err == nil, errors.Join(n.failed, err) })
}

func (n *numbered) subscribed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ready
}

// missed counts the numbers up to last that did not come. They may lack only where
// the client moved, and none may come twice or out of order.
func (n *numbered) missed(t *testing.T, last int) (missed int) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failed != nil {
		t.Errorf("%s: %v", n.transport, n.failed)
	}
	if len(n.numbers) == 0 || n.numbers[len(n.numbers)-1] != last {
		t.Errorf("%s: the last of %d messages did not come", n.transport, last)
		return 0
	}
	for i, number := range n.numbers[1:] {
		gap := number - n.numbers[i] - 1
		if gap < 0 {
			t.Errorf("%s: %d came after %d", n.transport, number, n.numbers[i])
		}
		if gap > 0 && !slices.Contains(n.moves[1:], i+1) {
			t.Errorf("%s: %d are missing after %d, where the client did not move", n.transport, gap, n.numbers[i])
		}
		missed += gap
	}
	return missed
}

// A comet that leaves in order under load sends its clients away with all that was
// queued for them. What they miss is what was published until they subscribed
// elsewhere; it is counted here.
func TestDrainingCometLosesOnlyTheMove(t *testing.T) {
	const channel, rate, drainTimeout = "/drain/numbers", 200, 20 * time.Second
	c := cloud.New(t)
	leaves := c.Comet("comet-1", "--drain-timeout", drainTimeout.String(), "--drain-rate", "50")
	stays := c.Comet("comet-2")
	c.Linked(leaves, stays)
	b := c.Balancer("balancer")
	b.Covers(leaves, stays)

	var clients []*numbered
	for i := range testenv.Clients(32) {
		local := fmt.Sprintf("127.0.21.%d", i+1) // cookieless sockets go by their address
		clients = append(clients, listenNumbered(t, b.URL(), client.WebSocket, local, channel),
			listenNumbered(t, b.URL(), client.LongPolling, local, channel))
	}
	proc.Until(t, proc.Patience, "all have subscribed, at both comets", func() error {
		if !all(clients, (*numbered).subscribed) {
			return errors.New("not all")
		}
		if leaves.Sessions() == 0 || stays.Sessions() == 0 {
			return fmt.Errorf("%v and %v sessions", leaves.Sessions(), stays.Sessions())
		}
		return nil
	})

	publisher := wire.New(t, stays.URL())
	publisher.MustHandshake()
	stop, published := make(chan struct{}), make(chan int, 1)
	go func() { published <- publishNumbers(t, publisher, channel, 0, rate, stop) }()
	proc.Until(t, proc.Patience, "messages flow", func() error {
		if !all(clients, func(n *numbered) bool { return n.count() > 20 }) {
			return errors.New("not to all")
		}
		return nil
	})
	began := time.Now()
	status := leaves.Stop(drainTimeout + proc.Patience)
	took := time.Since(began)
	if status != 0 {
		t.Errorf("the comet ended with %d", status)
	}
	if took > drainTimeout {
		t.Errorf("the comet ended after %v, drain-timeout is %v", took, drainTimeout)
	}
	there := publisher.ClientID[:8]
	proc.Until(t, proc.Patience, "all have subscribed at the other comet", func() error {
		if !all(clients, func(n *numbered) bool { return n.subscribed() && n.at(there) }) {
			return errors.New("not all")
		}
		return nil
	})
	close(stop)
	last := <-published
	proc.Until(t, proc.Patience, "the last message", func() error {
		if !all(clients, func(n *numbered) bool { return n.has(last) }) {
			return errors.New("not everywhere")
		}
		return nil
	})

	for _, transport := range []client.Transport{client.LongPolling, client.WebSocket} {
		moved, missed, most := 0, 0, 0
		for _, n := range clients {
			if n.transport != transport || len(n.moves) == 1 {
				continue
			}
			m := n.missed(t, last)
			moved, missed, most = moved+1, missed+m, max(most, m)
		}
		if moved == 0 {
			t.Errorf("%s: no client moved", transport)
		}
		t.Logf("%s: %d clients moved; of %d messages at %d a second they missed %d in all, at most %d each",
			transport, moved, last, rate, missed, most)
	}
	for _, n := range clients {
		if m := n.missed(t, last); len(n.moves) == 1 && m > 0 {
			t.Errorf("%s: a client that did not move missed %d", n.transport, m)
		}
	}
	t.Logf("the comet was gone after %v", took.Round(time.Millisecond))
}

// publishNumbers publishes the numbers after last until stop, and one more.
func publishNumbers(t *testing.T, p *wire.Client, channel string, last, rate int, stop <-chan struct{}) int {
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for ended := false; ; {
		last++
		if m, err := p.Publish(channel, strconv.Itoa(last)); err != nil || !m.Successful {
			t.Errorf("publish: %v, %q", err, m.Error)
			return last
		}
		if ended {
			return last
		}
		select {
		case <-tick.C:
		case <-stop:
			ended = true
		}
	}
}

func (n *numbered) at(tag string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tag == tag
}

func (n *numbered) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.numbers)
}

func (n *numbered) has(number int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.numbers, number)
}

func all(clients []*numbered, ok func(*numbered) bool) bool {
	return !slices.ContainsFunc(clients, func(n *numbered) bool { return !ok(n) })
}
