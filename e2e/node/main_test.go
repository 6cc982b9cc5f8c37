// Package node tests Halley with unmodified CometD JavaScript clients, versions 8
// and 7, over WebSocket and long-polling, each in a process of its own and bound
// to an address of its own.
package node

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
	"github.com/halleycomet/halley/internal/testenv"
)

// errNone says that a condition waits for something to happen at all.
var errNone = errors.New("none yet")

func TestMain(m *testing.M) { proc.Main(m) }

// kinds is every version over every transport.
func kinds() []peer.Options {
	return []peer.Options{
		{Project: "node8", Transport: peer.WebSocket},
		{Project: "node8", Transport: peer.LongPolling},
		{Project: "node7", Transport: peer.WebSocket},
		{Project: "node7", Transport: peer.LongPolling},
	}
}

// start starts one client of each of the options, from its own address (the one in
// the options, if any), subscribed to a channel.
func start(t *testing.T, url, net, channel string, all []peer.Options) []*peer.Client {
	t.Helper()
	var clients []*peer.Client
	for i, o := range all {
		o.URL = url
		if o.Local == "" {
			o.Local = fmt.Sprintf("127.0.%s.%d", net, i+1)
		}
		c := peer.Start(t, o)
		c.Subscribe(channel)
		clients = append(clients, c)
	}
	for i, c := range clients {
		c.Connected(proc.Patience, 0)
		c.Subscribed(proc.Patience, 0, channel)
		if got := c.Transport(); got != all[i].Transport {
			t.Fatalf("%s uses %s", c.Name, got)
		}
		// That no connection leaves from another address is checked when the test ends.
		if c.Times("socket") == 0 {
			t.Fatalf("%s has not told where its connections leave from", c.Name)
		}
	}
	return clients
}

// spread returns addresses of a network that the balancer sends, by IP, to one
// comet after the other, n in all. It asks with sockets of its own: of 40 addresses
// all at one of three comets would be a chance of 3^-39. The sessions are ended.
func spread(t *testing.T, url, net string, n int) []string {
	t.Helper()
	byComet := map[string][]string{}
	for i := range 40 {
		local := fmt.Sprintf("127.0.%s.%d", net, i+1)
		s := wire.MustOpen(t, url, local)
		id := s.MustHandshake()
		s.MustAsk(fmt.Sprintf(`[{"channel":"/meta/disconnect","id":"d","clientId":%q}]`, id), "d")
		s.Close()
		// The comet's own part of the clientId names it.
		byComet[id[:8]] = append(byComet[id[:8]], local)
	}
	if len(byComet) < 2 {
		t.Fatalf("40 addresses are all at one comet")
	}
	var all []string
	for round := 0; len(all) < n; round++ {
		before := len(all)
		for _, comet := range slices.Sorted(maps.Keys(byComet)) {
			if round < len(byComet[comet]) {
				all = append(all, byComet[comet][round])
			}
		}
		if len(all) == before {
			t.Fatalf("no %d addresses", n)
		}
	}
	return all[:n]
}

// owner returns the comet that holds a client's session, by asking each of them.
func owner(t *testing.T, comets []*cloud.Comet, c *peer.Client) *cloud.Comet {
	t.Helper()
	id := c.Handshaken(proc.Patience, 0).ClientID
	for _, m := range comets {
		if m.Holds(id) {
			return m
		}
	}
	t.Fatalf("no comet holds the session of %s", c.Name)
	return nil
}

// publisher publishes numbered messages at a comet, one every few milliseconds,
// until stop is called, which returns their count.
func publisher(t *testing.T, at *cloud.Comet, channel string) (stop func() int) {
	t.Helper()
	w := wire.New(t, at.URL())
	w.MustHandshake()
	quit, done := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				done <- n
				return
			case <-tick.C:
			}
			if _, err := w.Publish(channel, fmt.Sprint(n)); err != nil {
				t.Errorf("publish %d: %v", n, err)
			}
			n++
		}
	}()
	return func() int { close(quit); return <-done }
}

// copies fails when a client has had any message twice.
func copies(t *testing.T, c *peer.Client) {
	t.Helper()
	seen := map[string]int{}
	for _, e := range c.All() {
		if e.Event == "message" {
			k := e.Channel + " " + string(e.Data)
			if seen[k]++; seen[k] == 2 {
				t.Errorf("%s got %s twice", c.Name, k)
			}
		}
	}
}

// clients is how many clients the machine should bear here: all of them, or one of
// each kind under the race detector.
func clients() []peer.Options {
	all := append(kinds(), kinds()...)
	return all[:max(len(kinds()), testenv.Clients(len(all)))]
}
