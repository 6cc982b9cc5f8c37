package node

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/testenv"
)

// A comet stands still, breaks no connection, and goes on later. With the checks as
// they are by default its clients have sessions elsewhere soon, over both transports;
// when it goes on they stay there, and none gets a message twice.
func TestStandstillOfACometBound(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	options := clients()
	// Those with WebSockets go by address: of both comets, so that some must stay.
	for i, local := range spread(t, b.URL(), "66", len(options)) {
		options[i].Local = local
	}
	all := start(t, b.URL(), "66", "/ticks", options)
	still := owner(t, comets, all[0])
	alive := comets[0]
	if alive == still {
		alive = comets[1]
	}
	var theirs []*peer.Client
	for _, p := range all {
		if owner(t, comets, p) == still {
			theirs = append(theirs, p)
		}
	}
	stop := publisher(t, alive, "/ticks")
	marks := map[*peer.Client]int{}
	for _, p := range all {
		p.Message(proc.Patience, 0, "/ticks", "1")
		marks[p] = p.Mark()
	}

	frozen := time.Now()
	still.Freeze()
	for _, p := range theirs {
		p.Subscribed(testenv.Bound(7*time.Second), marks[p], "/ticks")
		back := time.UnixMilli(p.Handshaken(proc.Patience, marks[p]).At).Sub(frozen)
		t.Logf("%s: a session elsewhere after %v", p.Name, back.Round(time.Millisecond))
		if limit := testenv.Bound(7 * time.Second); back > limit {
			t.Errorf("%s has a session elsewhere after %v, want %v: %s", p.Name, back, limit, events(p, marks[p]))
		}
	}
	still.Signal(syscall.SIGCONT)
	b.Takes(still.Name)
	c.Linked(comets...)
	last := stop() - 1
	for _, p := range all {
		p.Message(proc.Patience, 0, "/ticks", fmt.Sprint(last))
		once(t, p)
		n, want := p.Times("handshake"), 1
		if slices.Contains(theirs, p) {
			want = 2
		}
		if n != want {
			t.Errorf("%s made %d handshakes, want %d: %s", p.Name, n, want, events(p, marks[p]))
		}
	}
}

// once fails when a client has had a message twice in one session.
func once(t *testing.T, c *peer.Client) {
	t.Helper()
	seen := map[string]bool{}
	for _, e := range c.All() {
		if e.Event == "handshake" {
			clear(seen)
		}
		if k := string(e.Data); e.Event == "message" {
			if seen[k] {
				t.Errorf("%s got %s twice in one session", c.Name, k)
			}
			seen[k] = true
		}
	}
}
