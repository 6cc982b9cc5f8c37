//go:build unix

package e2e

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
	"github.com/halleycomet/halley/internal/testenv"
)

// A balancer is restarted under load: the new process takes the sockets over from the
// old one. No connection is refused, no request fails, every session lives on, and
// what was published meanwhile arrives everywhere, once.
func TestBalancerRestartsUnderLoad(t *testing.T) {
	for name, gossip := range map[string]string{"gossip at any port": "127.0.0.1:0", "gossip at a port of its own": freePort(t)} {
		t.Run(name, func(t *testing.T) { restartUnderLoad(t, gossip) })
	}
}

func restartUnderLoad(t *testing.T, gossip string) {
	const channel, rate = "/handover/numbers", 50
	c := cloud.New(t)
	comets := c.Comets(2)
	listen, admin := freePort(t), freePort(t)
	flags := []string{"--listen", listen, "--admin", admin, "--gossip", gossip, "--stop-time", "3s", "--handover-socket", filepath.Join(t.TempDir(), "s")}
	b := c.Balancer("balancer", flags...)
	b.Covers(comets...)

	var clients []*numbered
	for i := range testenv.Clients(12) {
		local := fmt.Sprintf("127.0.23.%d", i+1)
		clients = append(clients, listenNumbered(t, b.URL(), client.WebSocket, local, channel),
			listenNumbered(t, b.URL(), client.LongPolling, local, channel))
	}
	proc.Until(t, proc.Patience, "all have subscribed", func() error {
		if !all(clients, (*numbered).subscribed) {
			return errors.New("not all")
		}
		return nil
	})
	stop := make(chan struct{})
	var load sync.WaitGroup
	for i := range 3 {
		load.Go(func() {
			n, moved := visits(t, b.URL(), fmt.Sprintf("127.0.23.%d", 100+i), stop)
			t.Logf("%d visits", n)
			if moved > 0 {
				t.Errorf("%d of them were told to handshake anew", moved)
			}
		})
	}
	load.Go(func() { // connections on which nothing is said, not more than the system keeps track of
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			conn, err := net.DialTimeout("tcp", listen, 5*time.Second)
			if err != nil {
				t.Errorf("a connection was refused: %v", err)
				return
			}
			conn.Close()
		}
	})
	publisher := wire.New(t, comets[0].URL())
	publisher.MustHandshake()
	published := make(chan int, 1)
	go func() { published <- publishNumbers(t, publisher, channel, 0, rate, stop) }()

	for range 2 {
		old := b
		b = c.Balancer("balancer", flags...)
		proc.Until(t, proc.Patience, "the old one has ended", func() error {
			if !old.Ended() {
				return errors.New("not yet")
			}
			return nil
		})
		if code := old.Stop(proc.Patience); code != 0 {
			t.Errorf("the old one ended with %d", code)
		}
	}
	b.Covers(comets...)
	close(stop)
	load.Wait()
	last := <-published
	proc.Until(t, proc.Patience, "the last message", func() error {
		if !all(clients, func(n *numbered) bool { return n.has(last) }) {
			return errors.New("not everywhere")
		}
		return nil
	})
	for _, n := range clients {
		n.missed(t, last) // which complains wherever a client did not move
		if len(n.moves) != 1 {
			t.Errorf("%s: %d handshakes", n.transport, len(n.moves))
		}
	}
	t.Logf("%d messages to each of %d clients", last, len(clients))
}
