package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// dyingComet answers everything, but reads a publish and then breaks the
// connection, as a comet does that is killed in that moment.
func dyingComet(t *testing.T) (url string, publishes *atomic.Int64) {
	t.Helper()
	publishes = new(atomic.Int64)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go serveDying(conn, publishes)
		}
	}()
	return "http://" + ln.Addr().String(), publishes
}

func serveDying(conn net.Conn, publishes *atomic.Int64) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		reply := `[{"channel":"/meta/handshake","id":"1","successful":true,"version":"1.0","clientId":"foreign1","supportedConnectionTypes":["long-polling"]}]`
		if strings.Contains(string(body), `"/chat"`) {
			publishes.Add(1)
			conn.(*net.TCPConn).SetLinger(0)
			return
		}
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(reply), reply)
	}
}

// cometLost is what the sender of a publish is told when its comet has it and is
// gone.
const cometLost = "502::comet_lost"

// A publish that a comet has read is never sent again, and its sender is told.
func TestPublishThatWasReadIsNotSentAgain(t *testing.T) {
	c := cloud.New(t)
	var urls []string
	var counts []*atomic.Int64
	for range 2 {
		url, n := dyingComet(t)
		urls, counts = append(urls, url), append(counts, n)
	}
	b := c.StaticBalancer("balancer", urls)
	b.Ready()
	const n = 10
	for i := range n {
		w := wire.New(t, b.URL())
		// Twice on one connection, so that the second finds a kept connection to the comet.
		w.MustHandshake()
		w.ClientID = "foreign1"
		m, err := w.Publish("/chat", fmt.Sprint(i))
		if err != nil {
			t.Fatalf("publish %d: %v", i, err)
		}
		if m.Successful || m.Error != cometLost {
			t.Errorf("publish %d: successful %v, error %q", i, m.Successful, m.Error)
		}
		if _, has := m.Has["data"]; has {
			t.Errorf("publish %d: the reply carries data", i)
		}
	}
	if got := counts[0].Load() + counts[1].Load(); got != n {
		t.Errorf("%d publishes reached the comets, want %d", got, n)
	}
}

// A stopped comet has the bytes but has not read them; then it is killed. Nobody
// else gets the message, and the sender learns that it failed.
func TestPublishToAKilledCometFails(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	// No check of the balancer's own, so that nothing but the publish finds out.
	b := c.Balancer("balancer", cloud.NoChecks...)
	b.Covers(comets...)
	w := wire.New(t, b.URL())
	w.MustHandshake()
	w.MustPublish("/chat", `"warm"`)
	dead := owner(t, comets, w.ClientID)
	other := comets[0]
	if other == dead {
		other = comets[1]
	}
	to := wire.New(t, other.URL())
	to.MustHandshake()
	to.MustSubscribe("/chat")
	to.Listen()

	dead.Freeze()
	answered := make(chan wire.Message, 1)
	failed := make(chan error, 1)
	go func() {
		m, err := w.Publish("/chat", `"lost"`)
		if err != nil {
			failed <- err
			return
		}
		answered <- m
	}()
	proc.Until(t, proc.Patience, "the stopped comet has the bytes", func() error { return unread(dead.Listen) })
	dead.Kill()
	select {
	case err := <-failed:
		t.Fatalf("publish: %v", err)
	case m := <-answered:
		if m.Successful || m.Error != cometLost || m.ID == "" {
			t.Errorf("successful %v, id %q, error %q", m.Successful, m.ID, m.Error)
		}
	}
	end := wire.New(t, other.URL())
	end.MustHandshake()
	end.MustPublish("/chat", `"end"`)
	to.Await(proc.Patience, "/chat", `"end"`)
	if got := to.Count("/chat", `"lost"`); got != 0 {
		t.Errorf("the lost message came %d times", got)
	}
}

// While a comet is killed under a stream of publishes, each is answered in Bayeux,
// and none comes twice.
func TestNoPublishComesTwice(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	from := wire.New(t, b.URL())
	from.MustHandshake()
	dead := owner(t, comets, from.ClientID)
	var to []*wire.Client
	for _, m := range comets {
		if m != dead {
			w := wire.New(t, m.URL())
			w.MustHandshake()
			w.MustSubscribe("/stream")
			w.Listen()
			to = append(to, w)
		}
	}
	const n = 300
	// Without a buffer, so that the kill comes under one of the publishes in the middle.
	sent := make(chan int)
	go func() {
		for i := range sent {
			if i == n/3 {
				dead.Kill()
			}
		}
	}()
	failures := 0
	for i := range n {
		m, err := from.Publish("/stream", fmt.Sprint(i))
		if err != nil {
			t.Fatalf("publish %d: %v", i, err)
		}
		if !m.Successful {
			failures++
			from.MustHandshake()
		}
		sent <- i
	}
	close(sent)
	if failures == 0 {
		t.Error("no publish failed, though the comet was killed")
	}
	last := fmt.Sprint(n - 1)
	for _, w := range to {
		w.Await(proc.Patience, "/stream", last)
		for i := range n {
			if got := w.Count("/stream", fmt.Sprint(i)); got > 1 {
				t.Errorf("message %d came %d times", i, got)
			}
		}
	}
}
