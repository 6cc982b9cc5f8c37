package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// Over HTTP the clientId alone keeps a client with its comet: no cookie is ever
// sent back, and every request comes from another address.
func TestCookielessClientIsKeptByClientID(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	before := handshakes(comets)

	const sessions, requests = 6, 10
	for i := range sessions {
		first := wire.NewFrom(t, b.URL(), fmt.Sprintf("127.0.3.%d", i+1))
		first.MustHandshake()
		for j := range requests {
			other := wire.NewFrom(t, b.URL(), fmt.Sprintf("127.0.4.%d", j+1))
			other.ClientID = first.ClientID
			other.MustConnect()
			other.MustPublish("/nobody", "1")
		}
	}
	total, used := since(comets, before)
	if total != sessions || used < 2 {
		t.Errorf("%v handshakes at %d comets, want %d at two or more", total, used, sessions)
	}
	if got := unknown(comets); got != 0 {
		t.Errorf("%v requests at the wrong comet", got)
	}
}

// Over WebSocket the address keeps it: CometD's client comes back on a new
// cookieless socket with its old clientId in the first frame.
func TestCookielessSocketIsKeptByAddress(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	before := handshakes(comets)

	const clients = 9
	for i := range clients {
		local := fmt.Sprintf("127.0.5.%d", i+1)
		s := wire.MustOpen(t, b.URL(), local)
		id := s.MustHandshake()
		s.Close()
		for range 3 {
			s = wire.MustOpen(t, b.URL(), local)
			s.MustAsk(fmt.Sprintf(`[{"channel":"/meta/connect","id":"c","clientId":%q,"connectionType":"websocket","advice":{"timeout":0}}]`, id), "c")
			s.Close()
		}
	}
	total, used := since(comets, before)
	if total != clients || used < 2 {
		t.Errorf("%v handshakes at %d comets, want %d at two or more", total, used, clients)
	}
	if got := unknown(comets); got != 0 {
		t.Errorf("%v sockets at the wrong comet", got)
	}
}

// Faye's client opens its socket first, then handshakes over HTTP, both without a
// cookie, and goes on over the socket with the clientId it was given.
func TestSocketBeforeHandshakeMeetsItsSession(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	for i := range 9 {
		local := fmt.Sprintf("127.0.6.%d", i+1)
		s := wire.MustOpen(t, b.URL(), local)
		w := wire.NewFrom(t, b.URL(), local)
		a, err := w.Post(t.Context(), `[{"channel":"/meta/handshake","id":"1","version":"1.0","supportedConnectionTypes":["websocket","eventsource","long-polling","callback-polling"]}]`)
		if err != nil || !a.Messages[0].Successful {
			t.Fatalf("handshake: %v", err)
		}
		s.MustAsk(fmt.Sprintf(`[{"channel":"/meta/connect","id":"c","clientId":%q,"connectionType":"websocket"}]`, a.Messages[0].ClientID), "c")
		s.Close()
	}
	if got := unknown(comets); got != 0 {
		t.Errorf("%v sockets at the wrong comet", got)
	}
}

// A browser's cookie keeps its upgrade with its session, whatever its address is.
func TestCookieKeepsTheUpgrade(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	for i := range 9 {
		w := wire.NewFrom(t, b.URL(), fmt.Sprintf("127.0.7.%d", i+1))
		a, err := w.Post(t.Context(), `[{"channel":"/meta/handshake","id":"1","version":"1.0","supportedConnectionTypes":["long-polling","websocket"]}]`)
		if err != nil || !a.Messages[0].Successful {
			t.Fatalf("handshake: %v", err)
		}
		cookies := (&http.Response{Header: a.Header}).Cookies()
		if len(cookies) != 1 || cookies[0].Name != "BAYEUX_BROWSER" {
			t.Fatalf("cookies %v, want one BAYEUX_BROWSER", cookies)
		}
		s, err := wire.Open(t, b.URL(), fmt.Sprintf("127.0.8.%d", i+1), http.Header{"Cookie": {cookies[0].Name + "=" + cookies[0].Value}})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Ask(fmt.Sprintf(`[{"channel":"/meta/connect","id":"c","clientId":%q,"connectionType":"websocket","advice":{"timeout":0}}]`, a.Messages[0].ClientID), "c", 10*time.Second); err != nil {
			t.Error(err)
		}
		s.Close()
	}
	if got := unknown(comets); got != 0 {
		t.Errorf("%v sockets at the wrong comet", got)
	}
}
