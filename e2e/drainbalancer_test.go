package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
	"github.com/halleycomet/halley/internal/testenv"
)

// cometStatus is what a balancer's admin says of a comet, as far as it is of use here.
type cometStatus struct {
	Name, State   string
	Held, Tunnels int
	Drain         *struct {
		Polls, Tunnels, Forced int
		Done                   bool
	}
}

// askAdmin asks the admin of a balancer about comets, or for something to be done.
func askAdmin(b *cloud.Balancer, method, path string) (comets []cometStatus, err error) {
	req, err := http.NewRequest(method, "http://"+b.Admin+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return comets, json.NewDecoder(resp.Body).Decode(&comets)
}

// A comet that a balancer drains under load keeps running, and knows nothing of it. Its
// clients are moved by the balancer, at a bounded rate and within drain-time, those
// whose polls are held included. What they miss is what was published until they
// subscribed elsewhere; it is counted here. Undrained, the comet gets new sessions.
func TestBalancerDrainsAComet(t *testing.T) {
	const channel, rate, perSecond = "/drain/numbers", 200, 20
	c := cloud.New(t)
	left := c.Comet("comet-1", "--timeout", "4s")
	stays := c.Comet("comet-2", "--timeout", "4s")
	c.Linked(left, stays)
	b := c.Balancer("balancer", "--drain-time", "20s", "--drain-rate", fmt.Sprint(perSecond))
	b.Covers(left, stays)

	var busy, quiet []*numbered
	for i := range testenv.Clients(32) {
		local := fmt.Sprintf("127.0.22.%d", i+1) // cookieless sockets go by their address
		busy = append(busy, listenNumbered(t, b.URL(), client.WebSocket, local, channel),
			listenNumbered(t, b.URL(), client.LongPolling, local, channel))
		quiet = append(quiet, listenNumbered(t, b.URL(), client.LongPolling, local, "/drain/nothing"))
	}
	clients := append(busy[:len(busy):len(busy)], quiet...)
	proc.Until(t, proc.Patience, "all have subscribed, at both comets", func() error {
		if !all(clients, (*numbered).subscribed) {
			return errors.New("not all")
		}
		if left.Sessions() == 0 || stays.Sessions() == 0 {
			return fmt.Errorf("%v and %v sessions", left.Sessions(), stays.Sessions())
		}
		return nil
	})
	publisher := wire.New(t, stays.URL())
	publisher.MustHandshake()
	stop, published := make(chan struct{}), make(chan int, 1)
	go func() { published <- publishNumbers(t, publisher, channel, 0, rate, stop) }()
	proc.Until(t, proc.Patience, "messages flow", func() error {
		if !all(busy, func(n *numbered) bool { return n.count() > 20 }) {
			return errors.New("not to all")
		}
		return nil
	})

	refused := b.Refused()
	began := time.Now()
	if _, err := askAdmin(b, http.MethodPost, "/comets/comet-1/drain"); err != nil {
		t.Fatal(err)
	}
	var done cometStatus
	proc.Until(t, 20*time.Second+proc.Patience, "the comet is drained", func() error {
		comets, err := askAdmin(b, http.MethodGet, "/comets")
		if err != nil {
			return err
		}
		for _, c := range comets {
			if c.Name == "comet-1" && c.Drain != nil && c.Drain.Done {
				done = c
				return nil
			}
		}
		return fmt.Errorf("%+v", comets)
	})
	took := time.Since(began)
	there := publisher.ClientID[:8]
	proc.Until(t, proc.Patience, "all have subscribed at the other comet", func() error {
		if !all(clients, func(n *numbered) bool { return n.subscribed() && n.at(there) }) {
			return errors.New("not all")
		}
		return nil
	})
	proc.Until(t, proc.Patience, "the sessions are ended at the comet", func() error {
		if n := left.Sessions(); n > 0 {
			return fmt.Errorf("%v are left", n)
		}
		return nil
	})
	close(stop)
	last := <-published
	proc.Until(t, proc.Patience, "the last message", func() error {
		if !all(busy, func(n *numbered) bool { return n.has(last) }) {
			return errors.New("not everywhere")
		}
		return nil
	})

	movedBy := map[client.Transport]int{}
	for _, n := range clients {
		n.note(func() {
			if len(n.moves) > 1 {
				movedBy[n.transport]++
			}
		})
	}
	for _, transport := range []client.Transport{client.LongPolling, client.WebSocket} {
		moved, missed, most := 0, 0, 0
		for _, n := range busy {
			if n.transport != transport {
				continue
			}
			m := n.missed(t, last)
			if len(n.moves) > 1 {
				moved, missed, most = moved+1, missed+m, max(most, m)
			} else if m > 0 {
				t.Errorf("%s: a client that did not move missed %d", transport, m)
			}
		}
		if moved == 0 {
			t.Errorf("%s: no client moved", transport)
		}
		t.Logf("%s: %d clients moved; of %d messages at %d a second they missed %d in all, at most %d each",
			transport, moved, last, rate, missed, most)
	}
	for _, n := range quiet {
		n.note(func() {
			if n.failed != nil || len(n.moves) > 2 {
				t.Errorf("a client of a quiet channel: %v, %d sessions", n.failed, len(n.moves))
			}
		})
	}
	if d := done.Drain; d.Polls != movedBy[client.LongPolling] || d.Tunnels != movedBy[client.WebSocket] || d.Forced != 0 {
		t.Errorf("moved %+v; the clients say %v", *d, movedBy)
	}
	if n := b.Refused() - refused; n != 0 {
		t.Errorf("%v requests were refused", n)
	}
	if fastest := time.Duration(float64(done.Drain.Polls)/perSecond*float64(time.Second)) / 2; took < fastest || took > 20*time.Second {
		t.Errorf("%d polls at %d a second were moved in %v", done.Drain.Polls, perSecond, took)
	}
	t.Logf("%d polls and %d WebSockets were moved in %v, at %d a second", done.Drain.Polls, done.Drain.Tunnels, took.Round(time.Millisecond), perSecond)

	if _, err := askAdmin(b, http.MethodPost, "/comets/comet-1/undrain"); err != nil {
		t.Fatal(err)
	}
	proc.Until(t, proc.Patience, "the comet gets new sessions", func() error {
		w := wire.New(t, b.URL())
		defer w.Close()
		if _, err := w.Handshake(); err != nil || left.Sessions() == 0 {
			return fmt.Errorf("none: %v", err)
		}
		return nil
	})
}
