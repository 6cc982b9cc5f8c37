package e2e

import (
	"encoding/json"
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
	const perSecond = 20
	c := cloud.New(t)
	left := c.Comet("comet-1", "--timeout", "4s")
	stays := c.Comet("comet-2", "--timeout", "4s")
	c.Linked(left, stays)
	b := c.Balancer("balancer", "--drain-time", "20s", "--drain-rate", fmt.Sprint(perSecond))
	b.Covers(left, stays)

	busy := newCrowd(t, b, "22", testenv.Clients(32))
	quiet := newCrowd(t, b, "24", testenv.Clients(32), client.LongPolling)
	busy.spread()
	busy.hears(stays, 200)
	busy.until("messages flow", func(n *numbered) bool { return n.count() > 20 })

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
	there := tagOf(t, stays)
	for _, crowd := range []*crowd{busy, quiet} {
		crowd.gathers(there)
	}
	proc.Until(t, proc.Patience, "the sessions are ended at the comet", func() error {
		if n := left.Sessions(); n > 0 {
			return fmt.Errorf("%v are left", n)
		}
		return nil
	})
	busy.end()
	busy.wantMovers()
	for _, n := range quiet.clients {
		n.wantWell(t)
		if n.moved() > 1 {
			t.Errorf("a client of a quiet channel moved %d times", n.moved())
		}
	}
	movers := busy.movers()
	movers[client.LongPolling] += quiet.movers()[client.LongPolling]
	if d := done.Drain; d.Polls != movers[client.LongPolling] || d.Tunnels != movers[client.WebSocket] || d.Forced != 0 {
		t.Errorf("moved %+v; the clients say %v", *d, movers)
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
