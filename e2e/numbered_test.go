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
	"github.com/halleycomet/halley/e2e/internal/wire"
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
	if n.subscribed() {
		return
	}
	replies, err := n.client.Batch(ctx, []client.Request{client.SubscribeRequest(channel)})
	if err == nil {
		err = replies[0].Err()
	}
	n.note(func() { n.ready, n.failed = err == nil, errors.Join(n.failed, err) })
}

func (n *numbered) subscribed() (ready bool) {
	n.note(func() { ready = n.ready })
	return ready
}

// at tells whether the client has its session at a comet.
func (n *numbered) at(tag string) (there bool) {
	n.note(func() { there = n.tag == tag })
	return there
}

// tagOf is what the clientIds of a comet begin with.
func tagOf(t *testing.T, m *cloud.Comet) string {
	t.Helper()
	w := wire.New(t, m.URL())
	defer w.Close()
	return w.MustHandshake().ClientID[:8]
}

// moved is how often it has handshaken anew.
func (n *numbered) moved() (times int) {
	n.note(func() { times = max(len(n.moves)-1, 0) })
	return times
}

func (n *numbered) count() (numbers int) {
	n.note(func() { numbers = len(n.numbers) })
	return numbers
}

func (n *numbered) has(number int) (has bool) {
	n.note(func() { has = slices.Contains(n.numbers, number) })
	return has
}

// state says how the client fares.
func (n *numbered) state() (err error) {
	n.note(func() {
		err = fmt.Errorf("%s: %d handshakes, subscribed: %v, %d numbers, failures: %w", n.transport, len(n.moves), n.ready, len(n.numbers), n.failed)
	})
	return err
}

// wantWell wants nothing to have failed.
func (n *numbered) wantWell(t *testing.T) {
	t.Helper()
	n.note(func() {
		if n.failed != nil {
			t.Errorf("%s: %v", n.transport, n.failed)
		}
	})
}

// gaps tells how many numbers up to last did not come, by how many had come before. None
// may come twice or out of order, and nothing may have failed.
func (n *numbered) gaps(t *testing.T, last int) map[int]int {
	t.Helper()
	n.wantWell(t)
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.numbers) == 0 || n.numbers[len(n.numbers)-1] != last {
		t.Errorf("%s: the last of %d messages did not come", n.transport, last)
		return nil
	}
	gaps := map[int]int{}
	for i, number := range n.numbers[1:] {
		switch gap := number - n.numbers[i] - 1; {
		case gap < 0:
			t.Errorf("%s: %d came after %d", n.transport, number, n.numbers[i])
		case gap > 0:
			gaps[i+1] = gap
		}
	}
	return gaps
}

// missed counts the numbers up to last that did not come. They may lack only where the
// client moved.
func (n *numbered) missed(t *testing.T, last int) (missed int) {
	t.Helper()
	gaps := n.gaps(t, last)
	n.mu.Lock()
	defer n.mu.Unlock()
	for at, gap := range gaps {
		if !slices.Contains(n.moves[1:], at) {
			t.Errorf("%s: %d are missing after %d, where the client did not move", n.transport, gap, n.numbers[at-1])
		}
		missed += gap
	}
	return missed
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
