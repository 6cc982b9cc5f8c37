package foreign

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
	"github.com/halleycomet/halley/internal/tlstest"
)

// CometD's servers behind TLS, and before them a balancer that speaks it on both sides.
// Clients come by https and wss. Each stays with its server, over either transport; those
// of a server that is killed go over to the other, and nobody else notices.
func TestSecureFleet(t *testing.T) {
	authority := tlstest.New(t)
	var servers []*peer.Server
	for i := range 2 {
		servers = append(servers, peer.StartSecureServer(t, fmt.Sprintf("secure-%d", i+1), authority))
	}
	cert, key := authority.Pair(t, t.TempDir(), time.Now().Add(time.Hour))
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure := free.Addr().String()
	free.Close()
	b := another(t, servers, "--tls-listen", secure, "--tls-cert", cert, "--tls-key", key, "--comet-ca", authority.File, "--place", "ip")

	places := addresses(t, b.URL(), "46", servers, 4)
	before := counters(servers)
	all := secureClients(t, "https://"+secure+cloud.Path, authority, places)
	first, second := all[:len(places[0])], all[len(places[0]):]
	for round := range 5 {
		talk(t, all, fmt.Sprint(round))
	}
	chat(t, first, "at the first")
	chat(t, second, "at the second")
	for i, s := range servers {
		c := s.Counters()
		if n := c.Handshakes - before[i].Handshakes; n != len(places[i]) || c.Unknown != before[i].Unknown {
			t.Errorf("%s: %d handshakes by %d clients, %d answers 402", s.Name, n, len(places[i]), c.Unknown-before[i].Unknown)
		}
	}
	if n := b.Counter("halley_balancer_tls_handshakes_total", `result="ok"`); n < float64(len(all)) {
		t.Errorf("%v handshakes of TLS by %d clients", n, len(all))
	}

	there := servers[1].Counters().Handshakes
	marks := make([]int, len(first))
	for i, c := range first {
		marks[i] = c.Mark()
	}
	servers[0].Kill()
	for i, c := range first {
		c.Handshaken(proc.Patience, marks[i])
		c.Subscribed(proc.Patience, marks[i], "/room")
	}
	chat(t, all, "together")
	for i, c := range all {
		want := 1
		if i < len(first) {
			want = 2
		}
		if n := c.Times("handshake"); n != want {
			t.Errorf("%s made %d handshakes, want %d", c.Name, n, want)
		}
	}
	if n := servers[1].Counters().Handshakes - there; n != len(first) {
		t.Errorf("%d handshakes by %d clients of the killed server", n, len(first))
	}
}

// addresses are n of a network for each server, whose clients the balancer sends there.
func addresses(t *testing.T, url, net string, servers []*peer.Server, n int) [][]string {
	t.Helper()
	all := make([][]string, len(servers))
	for i, missing := 1, len(servers); missing > 0; i++ {
		if i > 100 {
			t.Fatalf("100 addresses are distributed as %v", all)
		}
		local := fmt.Sprintf("127.0.%s.%d", net, i)
		before := counters(servers)
		w := wire.NewFrom(t, url, local)
		w.MustHandshake()
		w.Close()
		for j, s := range servers {
			if s.Counters().Handshakes == before[j].Handshakes || len(all[j]) == n {
				continue
			}
			if all[j] = append(all[j], local); len(all[j]) == n {
				missing--
			}
		}
	}
	return all
}

// secureClients starts a client from each of the addresses, over one transport and the
// other, and waits until each hears itself and is in the room.
func secureClients(t *testing.T, url string, authority *tlstest.Authority, places [][]string) []*peer.Client {
	t.Helper()
	var all []*peer.Client
	var transports []string
	for _, locals := range places {
		for i, local := range locals {
			transports = append(transports, []string{peer.WebSocket, peer.LongPolling}[i%2])
			all = append(all, peer.Start(t, peer.Options{
				Project: []string{"node8", "node9"}[i/2%2], Transport: transports[len(all)],
				URL: url, Local: local, Authority: authority.File,
			}))
		}
	}
	for _, c := range all {
		c.Subscribe("/room")
	}
	listen(all, 0)
	for i, c := range all {
		c.Subscribed(proc.Patience, 0, "/room")
		if got := c.Transport(); got != transports[i] {
			t.Fatalf("%s uses %s", c.Name, got)
		}
	}
	return all
}

// chat has each of the clients say something in the room, and wants all of them to hear
// it, once.
func chat(t *testing.T, all []*peer.Client, words string) {
	t.Helper()
	say := func(i int) string { return fmt.Sprintf(`"%d: %s"`, i, words) }
	for i, c := range all {
		c.Publish("/room", say(i), say(i))
	}
	for _, c := range all {
		for i := range all {
			c.Message(proc.Patience, 0, "/room", say(i))
			if n := c.Copies("/room", say(i)); n != 1 {
				t.Errorf("%s heard %s %d times", c.Name, say(i), n)
			}
		}
	}
}
