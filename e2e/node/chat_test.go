package node

import (
	"fmt"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
)

// Clients of both versions over both transports chat through the balancer, on
// several comets, each message exactly once on each.
func TestChat(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	before := map[*cloud.Comet]float64{}
	for _, m := range comets {
		before[m] = m.Handshakes()
	}

	all := start(t, b.URL(), "20", "/chat/room", clients())
	used, made := 0, 0.0
	for _, m := range comets {
		if n := m.Handshakes() - before[m]; n > 0 {
			used++
			made += n
		}
	}
	if used < 2 {
		t.Errorf("the clients are at %d comets, want two or more", used)
	}

	const rounds = 5
	for r := range rounds {
		for i, p := range all {
			p.Publish("/chat/room", fmt.Sprintf(`{"from":%d,"round":%d}`, i, r), fmt.Sprint(r))
		}
		for _, p := range all {
			if e := p.Published(proc.Patience, fmt.Sprint(r)); !e.OK {
				t.Errorf("%s: publish failed: %s", p.Name, e.Error)
			}
			for i := range all {
				p.Message(proc.Patience, 0, "/chat/room", fmt.Sprintf(`{"from":%d,"round":%d}`, i, r))
			}
		}
	}
	for _, p := range all {
		if got := p.Times("message"); got != rounds*len(all) {
			t.Errorf("%s got %d messages, want %d", p.Name, got, rounds*len(all))
		}
		copies(t, p)
	}

	// While nothing died: as many sessions as clients, and no request at a comet that does
	// not know its session, by the comets' own count.
	made = 0
	for _, m := range comets {
		made += m.Handshakes() - before[m]
		if n := m.Unknown(); n != 0 {
			t.Errorf("%s answered 402 %v times", m.Name, n)
		}
	}
	if made != float64(len(all)) {
		t.Errorf("%v handshakes by %d clients", made, len(all))
	}
	for _, p := range all {
		p.Disconnect()
	}
}

// A balancer that is killed and started again loses no session: its clients come
// back to their comets, by clientId and by address, without a handshake.
func TestBalancerRestart(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	all := start(t, b.URL(), "21", "/chat/room", kinds())
	var marks []int
	for _, p := range all {
		marks = append(marks, p.Mark())
	}
	b.Kill()
	c.Balancer("balancer", "--listen", b.Listen)
	for i, p := range all {
		p.Connected(proc.Patience, marks[i])
	}
	all[0].Publish("/chat/room", `"after"`, "after")
	for _, p := range all {
		p.Message(proc.Patience, 0, "/chat/room", `"after"`)
		if n := p.Times("handshake"); n != 1 {
			t.Errorf("%s made %d handshakes", p.Name, n)
		}
	}
	for _, m := range comets {
		if n := m.Unknown(); n != 0 {
			t.Errorf("%s answered 402 %v times", m.Name, n)
		}
	}
}

// When every comet is down the clients keep their transport, and come back by
// themselves when one is there again.
func TestAllCometsDown(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	all := start(t, b.URL(), "22", "/chat/room", kinds())
	var marks []int
	for _, p := range all {
		marks = append(marks, p.Mark())
	}
	for _, m := range comets {
		m.Kill()
	}
	for i, p := range all {
		awaitBroken(t, p, marks[i])
	}
	// New ones come while nothing is there to hold them.
	late := peer.Start(t, peer.Options{Project: "node8", Transport: peer.WebSocket, URL: b.URL(), Local: "127.0.22.100"})
	late.Subscribe("/chat/room")

	c.Comet("comet-1")
	for i, p := range all {
		p.Subscribed(2*proc.Patience, marks[i], "/chat/room")
	}
	late.Subscribed(2*proc.Patience, 0, "/chat/room")
	late.Publish("/chat/room", `"again"`, "again")
	for i, p := range append(all, late) {
		p.Message(proc.Patience, 0, "/chat/room", `"again"`)
		want := peer.WebSocket
		if i < len(kinds()) {
			want = kinds()[i].Transport
		}
		if got := p.Transport(); got != want {
			t.Errorf("%s uses %s now", p.Name, got)
		}
	}
}

// awaitBroken waits until a client has seen that its comet is gone.
func awaitBroken(t *testing.T, p *peer.Client, mark int) {
	t.Helper()
	proc.Until(t, proc.Patience, p.Name+" sees that its comet is gone", func() error {
		for _, e := range p.All()[mark:] {
			if e.Event == "broken" {
				return nil
			}
		}
		return errNone
	})
}
