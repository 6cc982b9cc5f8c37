package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
	"github.com/halleycomet/halley/internal/testenv"
)

// visits come one after the other, each on a connection of its own: a handshake, a
// publish, a goodbye. A session whose comet leaves in between may be told to handshake
// anew (402), and nothing else may go wrong.
func visits(t *testing.T, url, local string, stop <-chan struct{}) (n, moved int) {
	for {
		select {
		case <-stop:
			return n, moved
		default:
		}
		n++
		w := wire.NewFrom(t, url, local)
		if m, err := w.Handshake(); err != nil || !m.Successful {
			t.Errorf("visit %d: handshake: %v, %q", n, err, m.Error)
		} else {
			for _, ask := range []func() (wire.Message, error){
				func() (wire.Message, error) { return w.Connect(context.Background(), 0) },
				func() (wire.Message, error) { return w.Publish("/visits", `"hello"`) },
				w.Disconnect,
			} {
				m, err := ask()
				if err == nil && m.Error == "402::session_unknown" {
					moved++
					break
				}
				if err != nil || !m.Successful {
					t.Errorf("visit %d: %s: %v, %q", n, m.Channel, err, m.Error)
				}
			}
		}
		w.Close()
	}
}

// All comets are restarted, one after the other, under load. No request fails, and
// clients miss only what is published while they move.
func TestRollingRestart(t *testing.T) {
	const channel, rate, drainTimeout = "/rolling/numbers", 100, 20 * time.Second
	c := cloud.New(t)
	flags := []string{"--drain-timeout", drainTimeout.String(), "--drain-rate", "50"}
	comets := make([]*cloud.Comet, 3)
	for i := range comets {
		comets[i] = c.Comet(fmt.Sprintf("comet-%d", i+1), flags...)
	}
	c.Linked(comets...)
	b := c.Balancer("balancer")
	b.Covers(comets...)

	var clients []*numbered
	for i := range testenv.Clients(24) {
		local := fmt.Sprintf("127.0.22.%d", i+1)
		clients = append(clients, listenNumbered(t, b.URL(), client.WebSocket, local, channel),
			listenNumbered(t, b.URL(), client.LongPolling, local, channel))
	}
	subscribed := func() error {
		if !all(clients, (*numbered).subscribed) {
			return errors.New("not all")
		}
		return nil
	}
	proc.Until(t, proc.Patience, "all have subscribed", subscribed)

	stop := make(chan struct{})
	var visitors sync.WaitGroup
	for i := range 4 {
		visitors.Go(func() {
			n, moved := visits(t, b.URL(), fmt.Sprintf("127.0.22.%d", 100+i), stop)
			t.Logf("%d visits, %d of them told to handshake anew", n, moved)
		})
	}
	last := 0
	for i := range comets {
		// The publisher has its session at a comet that stays meanwhile.
		publisher := wire.New(t, comets[(i+1)%len(comets)].URL())
		publisher.MustHandshake()
		pause, published := make(chan struct{}), make(chan int, 1)
		go func() { published <- publishNumbers(t, publisher, channel, last, rate, pause) }()
		old := comets[i]
		if status := old.Stop(drainTimeout + proc.Patience); status != 0 {
			t.Errorf("%s ended with %d", old.Name, status)
		}
		_, port, err := net.SplitHostPort(old.Listen)
		if err != nil {
			t.Fatal(err)
		}
		comets[i] = c.Comet(old.Name, append([]string{"--listen", "127.0.0.1:" + port}, flags...)...)
		c.Linked(comets...)
		b.Covers(comets[i])
		proc.Until(t, proc.Patience, "all have subscribed again", subscribed)
		close(pause)
		last = <-published
		proc.Until(t, proc.Patience, "the last message", func() error {
			if !all(clients, func(n *numbered) bool { return n.has(last) }) {
				return errors.New("not everywhere")
			}
			return nil
		})
		publisher.Close()
	}
	close(stop)
	visitors.Wait()

	for _, transport := range []client.Transport{client.LongPolling, client.WebSocket} {
		moves, missed := 0, 0
		for _, n := range clients {
			if n.transport == transport {
				moves, missed = moves+len(n.moves)-1, missed+n.missed(t, last)
			}
		}
		if moves == 0 {
			t.Errorf("%s: no client moved", transport)
		}
		t.Logf("%s: %d moves, %d messages missed in all, of %d at %d a second", transport, moves, missed, last, rate)
	}
}
