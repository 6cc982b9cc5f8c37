package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// owner returns the comet that holds a session, by asking each of them.
func owner(t *testing.T, comets []*cloud.Comet, clientID string) *cloud.Comet {
	t.Helper()
	for _, m := range comets {
		w := wire.New(t, m.URL())
		w.ClientID = clientID
		if reply, err := w.Connect(t.Context(), 0); err == nil && reply.Successful {
			w.Close()
			return m
		}
		w.Close()
	}
	t.Fatalf("no comet holds session %s", clientID)
	return nil
}

// elsewhere returns a client of the balancer that listens at another comet than
// the given one.
func elsewhere(t *testing.T, b *cloud.Balancer, comets []*cloud.Comet, than *cloud.Comet, channel string) *wire.Client {
	t.Helper()
	var w *wire.Client
	proc.Until(t, proc.Patience, "a session at another comet than "+than.Name, func() error {
		w = wire.New(t, b.URL())
		w.MustHandshake()
		if owner(t, comets, w.ClientID) == than {
			w.Close()
			return errors.New("it is at this one again")
		}
		return nil
	})
	w.MustSubscribe(channel)
	w.Listen()
	return w
}

// The sessions of a killed comet are told to handshake, at once and in Bayeux;
// everybody else's go on.
func TestKilledCometsSessionsAreToldToHandshake(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	w := wire.New(t, b.URL())
	w.MustHandshake()
	w.MustConnect()
	dead := owner(t, comets, w.ClientID)
	other := elsewhere(t, b, comets, dead, "/others")

	before := dead.Counter("halley_comet_connects_total")
	held := make(chan wire.Message, 1)
	failed := make(chan error, 1)
	go func() {
		m, err := w.Connect(t.Context(), -1)
		if err != nil {
			failed <- err
			return
		}
		held <- m
	}()
	proc.Until(t, proc.Patience, "the connect is held", func() error {
		if dead.Counter("halley_comet_connects_total") < before+1 {
			return errors.New("not there yet")
		}
		return nil
	})
	dead.Kill()
	select {
	case err := <-failed:
		t.Fatalf("held connect: %v", err)
	case m := <-held:
		wantHandshake(t, "held connect", m)
	}
	m, err := w.Connect(t.Context(), -1)
	if err != nil {
		t.Fatalf("new connect: %v", err)
	}
	wantHandshake(t, "new connect", m)
	m, err = w.Publish("/chat", "1")
	if err != nil || m.Successful || m.Error == "" {
		t.Errorf("publish of a dead session: %v, successful %v, %q", err, m.Successful, m.Error)
	}
	if m.Advice != nil {
		t.Errorf("publish of a dead session carries advice %s", m.Has["advice"])
	}
	w.MustHandshake()
	w.MustConnect()

	w.MustPublish("/others", `"after the kill"`)
	other.Await(proc.Patience, "/others", `"after the kill"`)
	if f := other.Failures(); len(f) > 0 {
		t.Errorf("a client of another comet was disturbed: %q", f)
	}
}

func wantHandshake(t *testing.T, what string, m wire.Message) {
	t.Helper()
	if m.Successful || m.Error != "402::session_unknown" || m.Advice == nil || m.Advice.Reconnect != "handshake" {
		t.Errorf("%s: successful %v, %q, advice %s", what, m.Successful, m.Error, m.Has["advice"])
		return
	}
	if m.Advice.Interval == nil || m.Advice.Timeout == nil {
		t.Errorf("%s: advice %s lacks interval or timeout", what, m.Has["advice"])
	}
}

// A comet that comes back under its name, at another address, gets clients again.
func TestKilledCometComesBackElsewhere(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	comets[1].Kill()
	back := c.Comet("comet-2")
	if back.Listen == comets[1].Listen {
		t.Fatalf("the same address %s again", back.Listen)
	}
	comets[1] = back
	b.Covers(comets...)
	c.Linked(comets...)

	// Its sockets too: an address that the first incarnation had is its again.
	before := back.Handshakes()
	for i := range 24 {
		s := wire.MustOpen(t, b.URL(), fmt.Sprintf("127.0.11.%d", i+1))
		s.MustHandshake()
		s.Close()
	}
	if back.Handshakes() == before {
		t.Error("none of 24 addresses goes to the comet that came back")
	}
}

// absence is longer than the gossip remembers its dead (cluster.Config.DeadGossip,
// 30 s): after it, only those who go on dialling find the one that comes back.
const absence = 33 * time.Second

// A balancer and comets whose seed has gone find it when it is back at its
// address, though it knows nobody.
func TestSeedComesBackAfterLongAbsence(t *testing.T) {
	t.Parallel()
	c := cloud.New(t)
	// Not a port that the system gives out: in its absence another program's
	// connection could take it.
	seed := c.Comet("seed", "--gossip", reserved(t))
	others := []*cloud.Comet{c.Comet("comet-2"), c.Comet("comet-3")}
	b := c.Balancer("balancer", "--join", seed.Gossip)
	b.Covers(seed, others[0], others[1])
	seed.Kill()
	gone := time.NewTimer(absence)
	defer gone.Stop()
	b.Covers(others...)
	// Not a wait for something to become true: the absence is what is tested.
	<-gone.C
	c.Seeds = nil
	again := c.Comet("seed", "--gossip", seed.Gossip)
	b.Covers(again, others[0], others[1])
	c.Linked(again, others[0], others[1])
}
