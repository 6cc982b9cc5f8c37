package e2e

import (
	"fmt"
	"sync"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// Two balancers that share nothing send the same client to the same comet; when
// one leaves, its sessions go on through the other.
func TestTwoBalancersRouteAlike(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	b1, b2 := c.Balancer("balancer-1"), c.Balancer("balancer-2")
	b1.Covers(comets...)
	b2.Covers(comets...)

	var sessions []*wire.Client
	for i := range 9 {
		local := fmt.Sprintf("127.0.9.%d", i+1)
		// By address: the comet's own part of the clientId names it.
		one, two := wire.MustOpen(t, b1.URL(), local), wire.MustOpen(t, b2.URL(), local)
		if a, b := one.MustHandshake()[:8], two.MustHandshake()[:8]; a != b {
			t.Errorf("%s: comet %s by one balancer, %s by the other", local, a, b)
		}
		one.Close()
		two.Close()
		// By clientId.
		w := wire.NewFrom(t, b1.URL(), local)
		w.MustHandshake()
		w.MustSubscribe("/both")
		w.URL = b2.URL()
		w.MustConnect()
		w.URL = b1.URL()
		w.MustConnect()
		sessions = append(sessions, w)
	}
	if code := b1.Stop(proc.Patience); code != 0 {
		t.Errorf("balancer-1 ended with exit status %d", code)
	}
	for _, w := range sessions {
		w.URL = b2.URL()
		w.Listen()
	}
	sessions[0].MustPublish("/both", `"on"`)
	for _, w := range sessions {
		w.Await(proc.Patience, "/both", `"on"`)
	}
	if got := unknown(comets); got != 0 {
		t.Errorf("%v requests at the wrong comet", got)
	}
}

// A balancer that has just started knows nobody. It may make clients wait, but it
// calls no living session dead.
func TestRestartedBalancerCallsNoSessionDead(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	var sessions []*wire.Client
	for i := range 6 {
		w := wire.NewFrom(t, b.URL(), fmt.Sprintf("127.0.10.%d", i+1))
		w.MustHandshake()
		w.MustConnect()
		sessions = append(sessions, w)
	}
	made := handshakes(comets)
	const rounds = 3
	for round := range rounds {
		b.Kill()
		// From before it listens until it works, every session asks without a pause.
		var asking sync.WaitGroup
		for _, w := range sessions {
			asking.Go(func() {
				proc.Until(t, proc.Patience, "a session goes on through the restarted balancer", func() error {
					m, err := w.Connect(t.Context(), 0)
					switch {
					case err != nil:
						return err
					case m.Successful:
						return nil
					case m.Advice == nil || m.Advice.Reconnect != "retry":
						t.Errorf("round %d: a living session is told %q, %s", round, m.Error, m.Has["advice"])
						return nil
					}
					return fmt.Errorf("told to retry: %q", m.Error)
				})
			})
		}
		b = c.Balancer("balancer", "--listen", b.Listen)
		asking.Wait()
	}
	for _, w := range sessions {
		w.MustConnect()
	}
	if got := unknown(comets); got != 0 {
		t.Errorf("%v times 402", got)
	}
	// Ready has made one session through each new balancer, and nobody else has.
	if total, _ := since(comets, made); total != rounds {
		t.Errorf("%v handshakes, want only those of the %d new balancers", total, rounds)
	}
}
