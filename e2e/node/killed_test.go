package node

import (
	"fmt"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/cut"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
)

// Two balancers behind one address, as a router or a floating address has it. One is
// killed under load: its clients go on by the other with the sessions that they have,
// those who poll and those with a WebSocket, and get what comes then, once.
func TestKilledBalancer(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	b1, b2 := c.Balancer("balancer-1"), c.Balancer("balancer-2")
	b1.Covers(comets...)
	b2.Covers(comets...)
	front := cut.New(t, b1.Listen)
	before := handshakes(comets)
	lost := 0.0
	for _, m := range comets {
		lost += m.Unknown()
	}
	all := start(t, "http://"+front.Addr()+cloud.Path, "72", "/ticks", clients())
	stop := publisher(t, comets[0], "/ticks")
	for _, p := range all {
		p.Message(proc.Patience, 0, "/ticks", "20")
	}

	marks := map[*peer.Client]int{}
	for _, p := range all {
		marks[p] = p.Mark()
	}
	front.Retarget(b2.Listen)
	b1.Kill()
	// One between two polls at that moment does not even notice.
	for _, p := range all {
		proc.Until(t, proc.Patience, p.Name+" hears again", func() error {
			heard := 0
			for _, e := range p.All()[marks[p]:] {
				if e.Event == "message" {
					heard++
				}
			}
			if heard < 100 {
				return fmt.Errorf("%d messages since", heard)
			}
			return nil
		})
	}
	last := stop() - 1
	for i, p := range all {
		p.Message(proc.Patience, marks[p], "/ticks", fmt.Sprint(last))
		copies(t, p)
		first := p.Handshaken(proc.Patience, 0).ClientID
		for _, e := range p.All() {
			if e.Event == "connected" && e.ClientID != first {
				t.Errorf("%s had session %s, and has %s now", p.Name, first, e.ClientID)
			}
		}
		if p.Times("handshake") != 1 {
			t.Errorf("%s handshook again: %s", p.Name, events(p, marks[p]))
		}
		if all := kinds(); all[i%len(all)].Transport == peer.WebSocket {
			p.Connected(proc.Patience, marks[p]) // on a new socket
		}
		if got := p.Transport(); got != clients()[i].Transport {
			t.Errorf("%s uses %s now", p.Name, got)
		}
	}
	if made, _ := since(comets, before); made != float64(len(all))+1 { // and the publisher's
		t.Errorf("%v handshakes by %d clients and a publisher", made, len(all))
	}
	for _, m := range comets {
		lost -= m.Unknown()
	}
	if lost != 0 {
		t.Errorf("%v requests at the wrong comet", -lost)
	}
}
