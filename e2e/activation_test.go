//go:build unix

package e2e

import (
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

// The supervisor, who is the test, holds the listening socket. A balancer is stopped
// under load, and only then the next one is started: who connects in between waits, and
// is refused nothing. Every session lives on.
func TestSocketActivationUnderLoad(t *testing.T) {
	const channel, rate, restarts = "/activation/numbers", 50, 2
	c := cloud.New(t)
	comets := c.Comets(2)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	listen := ln.Addr().String()
	ln.Close() // the file is the same socket, and stays open

	flags := []string{"--stop-time", "1s"}
	b := c.ActivatedBalancer("balancer", socket, flags...)
	if b.Listen != listen {
		t.Fatalf("it listens at %s, not at %s", b.Listen, listen)
	}
	b.Covers(comets...)
	url := b.URL()
	var clients []*numbered
	for i := range testenv.Clients(12) {
		local := fmt.Sprintf("127.0.61.%d", i+1)
		clients = append(clients, listenNumbered(t, url, client.WebSocket, local, channel),
			listenNumbered(t, url, client.LongPolling, local, channel))
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
		load.Go(func() { // each visit begins on a connection of its own
			n := firstRequests(t, url, fmt.Sprintf("127.0.61.%d", 100+i), stop)
			t.Logf("%d visits", n)
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
			conn, err := net.DialTimeout("tcp", listen, 10*time.Second)
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

	for range restarts {
		if code := b.Stop(proc.Patience); code != 0 {
			t.Errorf("the old one ended with %d", code)
		}
		b = c.ActivatedBalancer("balancer", socket, flags...)
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
	// What a comet wrote in the moment in which the balancer let go of a connection.
	lost := map[client.Transport]int{}
	for _, n := range clients {
		n.note(func() {
			if n.failed != nil {
				t.Errorf("%s: %v", n.transport, n.failed)
			}
			lost[n.transport] += n.numbers[len(n.numbers)-1] - n.numbers[0] + 1 - len(n.numbers)
			if len(n.moves) != 1 {
				t.Errorf("%s: %d handshakes", n.transport, len(n.moves))
			}
		})
	}
	t.Logf("%d messages; of %d clients of each transport some have lost %v of them", last, len(clients)/2, lost)
	// Over HTTP that is rare; a WebSocket is written to until the comet notices its end.
	each := map[client.Transport]int{client.LongPolling: 1, client.WebSocket: 2}
	if testenv.Race {
		each[client.WebSocket] = rate / 5
	}
	for transport, n := range lost {
		if n < 0 || n > each[transport]*restarts*len(clients)/2 {
			t.Errorf("%s: %d messages lost, more than %d for each client and restart", transport, n, each[transport])
		}
	}
}

// firstRequests handshakes again and again, each time on a connection of its own; none
// may fail.
func firstRequests(t *testing.T, url, local string, stop <-chan struct{}) (n int) {
	for {
		select {
		case <-stop:
			return n
		default:
		}
		w := wire.NewFrom(t, url, local)
		m, err := w.Handshake()
		if err != nil || !m.Successful {
			t.Errorf("visit %d: handshake: %v, %q", n, err, m.Error)
		}
		w.Close()
		n++
	}
}
