package node

import (
	"fmt"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// Clients of both versions over both transports chat through the balancer, on
// several comets, each message exactly once on each.
func TestChat(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	b := c.Balancer("balancer")
	b.Covers(comets...)

	var sockets, polls []peer.Options
	for i, o := range clients() {
		if o.Transport == peer.WebSocket {
			sockets = append(sockets, o)
			continue
		}
		o.Local = fmt.Sprintf("127.0.20.%d", 100+i)
		polls = append(polls, o)
	}
	for i, local := range spread(t, b.URL(), "20", len(sockets)) {
		sockets[i].Local = local
	}
	before := handshakes(comets)
	all := start(t, b.URL(), "20", "/chat/room", sockets)
	made, used := since(comets, before)
	if made != float64(len(sockets)) || used < 2 {
		t.Fatalf("%v handshakes of %d WebSocket clients at %d comets, want two or more", made, len(sockets), used)
	}
	all = append(all, start(t, b.URL(), "20", "/chat/room", polls)...)

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
	// A last word of everybody, behind which a doubled message of the same publisher
	// would have come.
	for i, p := range all {
		p.Publish("/chat/room", fmt.Sprintf(`"end %d"`, i), "end")
	}
	for _, p := range all {
		for i := range all {
			p.Message(proc.Patience, 0, "/chat/room", fmt.Sprintf(`"end %d"`, i))
		}
		if got, want := p.Times("message"), (rounds+1)*len(all); got != want {
			t.Errorf("%s got %d messages, want %d", p.Name, got, want)
		}
		copies(t, p)
	}

	// While nothing died: as many sessions as clients, and no request at a comet that does
	// not know its session, by the comets' own count.
	unknown(t, comets)
	if made, _ := since(comets, before); made != float64(len(all)) {
		t.Errorf("%v handshakes by %d clients", made, len(all))
	}
	for _, p := range all {
		p.Disconnect()
	}
	gone(t, comets, all)
}

// What is unsubscribed comes no more, while the rest does.
func TestUnsubscribe(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	all := start(t, b.URL(), "28", "/chat/left", kinds())
	for _, p := range all {
		p.Subscribe("/chat/kept")
		p.Subscribed(proc.Patience, 0, "/chat/kept")
	}
	from := make([]*wire.Client, len(comets))
	for i, m := range comets {
		from[i] = wire.New(t, m.URL())
		from[i].MustHandshake()
		from[i].MustPublish("/chat/left", fmt.Sprintf(`"before %d"`, i))
	}
	for _, p := range all {
		for i := range from {
			p.Message(proc.Patience, 0, "/chat/left", fmt.Sprintf(`"before %d"`, i))
		}
		p.Unsubscribe(proc.Patience, "/chat/left")
	}
	for i, w := range from {
		w.MustPublish("/chat/left", `"after"`)
		w.MustPublish("/chat/kept", fmt.Sprintf(`"end %d"`, i))
	}
	for _, p := range all {
		for i := range from {
			p.Message(proc.Patience, 0, "/chat/kept", fmt.Sprintf(`"end %d"`, i))
		}
		if n := p.Copies("/chat/left", `"after"`); n != 0 {
			t.Errorf("%s got what it had unsubscribed %d times", p.Name, n)
		}
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
	unknown(t, comets)
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
