//go:build unix

package e2e

import (
	"net"
	"testing"

	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/testenv"
)

// The supervisor, who is the test, holds the listening socket. A balancer is stopped
// under load, and only then the next one is started: who connects in between waits, and
// is refused nothing. Every session lives on.
func TestSocketActivationUnderLoad(t *testing.T) {
	const rate, restarts = 50, 2
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
	crowd := newCrowd(t, b, "61", testenv.Clients(12))
	crowd.visited(3, shortVisit)
	crowd.dialed()
	crowd.hears(comets[0], rate)

	for range restarts {
		if code := b.Stop(proc.Patience); code != 0 {
			t.Errorf("the old one ended with %d", code)
		}
		b = c.ActivatedBalancer("balancer", socket, flags...)
	}
	b.Covers(comets...)
	crowd.settle()
	// What a comet wrote in the moment in which the balancer let go of a connection.
	lost := map[client.Transport]int{}
	for _, n := range crowd.clients {
		for _, gap := range n.gaps(t, crowd.last) {
			lost[n.transport] += gap
		}
	}
	if n := crowd.moves(); n != 0 {
		t.Errorf("clients have handshaken anew %d times", n)
	}
	t.Logf("%d messages; of %d clients of each transport some have lost %v of them", crowd.last, len(crowd.clients)/2, lost)
	// Over HTTP that is nothing. A WebSocket is closed plainly when its comet takes longer
	// to say its last word than the balancer has.
	each := map[client.Transport]int{client.LongPolling: 0, client.WebSocket: 2}
	if testenv.Race {
		each[client.WebSocket] = rate / 5
	}
	for transport, n := range lost {
		if n > each[transport]*restarts*len(crowd.clients)/2 {
			t.Errorf("%s: %d messages lost, more than %d for each client and restart", transport, n, each[transport])
		}
	}
}
