package e2e

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// Checks by a whole session leave no session behind, and ask for none that is unknown.
func TestChecksBySession(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	b := c.Balancer("balancer", "--check", "bayeux", "--check-interval", "20ms")
	const checks = 50
	for _, m := range comets {
		before := m.Handshakes()
		proc.Until(t, proc.Patience, m.Name+" is checked", func() error {
			if n := m.Handshakes() - before; n < checks {
				return fmt.Errorf("%v handshakes", n)
			}
			return nil
		})
		if n, unknown := m.Sessions(), m.Unknown(); n > checks/10 || unknown != 0 {
			t.Errorf("%s has %v sessions, and counted %v unknown ones", m.Name, n, unknown)
		}
	}
	if n := b.Counter("halley_balancer_comets", `state="healthy"`); n != 2 {
		t.Errorf("%v comets are healthy", n)
	}
	if n := b.Counter("halley_balancer_checks_total", `result="failed"`); n != 0 {
		t.Errorf("%v checks failed", n)
	}
}

// A comet that stands still breaks no connection. It is suspect after a check that
// waits for 300 ms here, and down after two: the poll that it holds is answered then,
// and when it goes on it is used again.
func TestStandstillOfACometBound(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	b := c.Balancer("balancer", "--check-interval", "300ms", "--check-timeout", "300ms")
	b.Covers(comets...)
	w := wire.New(t, b.URL())
	w.MustHandshake()
	w.MustConnect()
	still := owner(t, comets, w.ClientID)
	other := comets[0]
	if still == other {
		other = comets[1]
	}
	type end struct {
		m   wire.Message
		err error
		at  time.Time
	}
	answered := make(chan end, 1)
	go func() {
		m, err := w.Connect(context.Background(), 30_000)
		answered <- end{m, err, time.Now()}
	}()
	proc.Until(t, proc.Patience, "the poll is held", func() error {
		if still.Counter("halley_comet_held_polls") == 0 {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	still.Freeze()
	began := time.Now()
	select {
	case e := <-answered:
		if e.err != nil || e.m.Error != "402::session_unknown" || e.m.Advice == nil || e.m.Advice.Reconnect != "handshake" {
			t.Fatalf("%+v, %v", e.m, e.err)
		}
		// The pause, two checks, the pause between them; the rest is a busy machine's.
		if took := e.at.Sub(began); took > 4*time.Second {
			t.Errorf("answered after %v", took)
		}
	case <-time.After(proc.Patience):
		t.Fatal("the poll was not answered")
	}
	name := fmt.Sprintf("comet=%q", still.Name)
	for _, state := range []string{"suspect", "down"} {
		if n := b.Counter("halley_balancer_comet_transitions_total", name, fmt.Sprintf("state=%q", state)); n != 1 {
			t.Errorf("%v times %s", n, state)
		}
	}
	for range 5 {
		again := wire.New(t, b.URL())
		again.MustHandshake()
		again.MustConnect()
		owner(t, []*cloud.Comet{other}, again.ClientID)
	}
	still.Signal(syscall.SIGCONT)
	proc.Until(t, proc.Patience, "it is healthy again", func() error {
		if n := b.Counter("halley_balancer_comet_state", name, `state="healthy"`); n != 1 {
			return fmt.Errorf("it is not")
		}
		return nil
	})
}
