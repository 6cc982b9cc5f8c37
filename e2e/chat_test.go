package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// Clients on different comets chat through the balancer: each message exactly
// once at each, every request of a client at its comet.
func TestChatAcrossComets(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	before := handshakes(comets)

	const n = 6
	var clients []*wire.Client
	for i := range n {
		w := wire.NewFrom(t, b.URL(), fmt.Sprintf("127.0.2.%d", i+1))
		w.MustHandshake()
		w.MustSubscribe("/chat/*")
		w.Listen()
		clients = append(clients, w)
	}
	if total, used := since(comets, before); total != n || used < 2 {
		t.Fatalf("%v handshakes at %d comets, want %d at two or more", total, used, n)
	}
	for i, w := range clients {
		w.MustPublish("/chat/room", fmt.Sprintf(`{"from":%d}`, i))
	}
	for i := range n {
		for _, w := range clients {
			w.Await(proc.Patience, "/chat/room", fmt.Sprintf(`{"from":%d}`, i))
		}
	}
	// A last word of everybody brings along what a doubled message would still bring:
	// one publisher's messages come in their order, whichever way they go.
	for i, w := range clients {
		w.MustPublish("/chat/room", fmt.Sprintf(`"end %d"`, i))
	}
	for _, w := range clients {
		for i := range n {
			w.Await(proc.Patience, "/chat/room", fmt.Sprintf(`"end %d"`, i))
			if got := w.Count("/chat/room", fmt.Sprintf(`{"from":%d}`, i)); got != 1 {
				t.Errorf("the message of %d came %d times", i, got)
			}
		}
		if got := len(w.Received()); got != 2*n {
			t.Errorf("%d messages, want %d", got, 2*n)
		}
	}
	if got := unknown(comets); got != 0 {
		t.Errorf("%v requests came to a comet that does not know their session", got)
	}
}

// A message is in the words of its publisher when it comes out at another comet.
func TestDataTravelsUntouched(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	from, to := wire.New(t, comets[0].URL()), wire.New(t, comets[1].URL())
	from.MustHandshake()
	to.MustHandshake()
	to.MustSubscribe("/exact")
	to.Listen()
	for _, data := range []string{
		`{"b":1,"a":[1.0,1e2,12345678901234567890],"u":"\u00e9é\/","":null}`,
		`"text"`, `0`, `false`, `[]`,
	} {
		from.MustPublish("/exact", data)
		to.Await(proc.Patience, "/exact", data)
	}
}

// The channels of the cloud itself are closed to ordinary clients.
func TestOortChannelsAreRefused(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	w := wire.New(t, comets[0].URL())
	w.MustHandshake()
	w.MustSubscribe("/**")
	w.Listen()
	for _, channel := range []string{"/oort/cloud", "/oort/**", "/oort/*"} {
		m, err := w.Subscribe(channel)
		if err != nil || m.Successful || m.Error != "403:denied_by_not_granting:subscribe_denied" {
			t.Errorf("subscribe to %s: %v, %q", channel, err, m.Error)
		}
	}
	for _, channel := range []string{"/oort/cloud", "/service/oort", "/service/oort/x"} {
		m, err := w.Publish(channel, `["http://127.0.0.1:9/cometd"]`)
		if err != nil || m.Successful || m.Error == "" {
			t.Errorf("publish to %s: %v, successful %v", channel, err, m.Successful)
		}
	}
	// Another comet joins, which makes traffic on /oort/cloud that /** must not show.
	c.Linked(append(comets, c.Comet("comet-3"))...)
	// It shows the rest, and what came before this has come.
	w.MustPublish("/shown", `"end"`)
	w.Await(proc.Patience, "/shown", `"end"`)
	for _, m := range w.Received() {
		if strings.HasPrefix(m.Channel, "/oort/") || strings.HasPrefix(m.Channel, "/service/") {
			t.Errorf("a subscriber of /** got %s", m.Channel)
		}
	}
}
