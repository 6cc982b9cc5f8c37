package foreign

import (
	"fmt"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
)

// Sticky by cookie: the value that the balancer mints is the one that the fleet
// adopts.
func TestStickyByCookie(t *testing.T) {
	servers, b := fleet(t, 3)
	before := counters(servers)
	all := clients(t, b.URL(), "30", 6)
	for r := range 5 {
		talk(t, all, fmt.Sprint(r))
	}
	made, used, unknown := tally(servers, before)
	if made != len(all) || used < 2 || unknown != 0 {
		t.Errorf("%d handshakes by %d clients at %d servers, %d answers 402", made, len(all), used, unknown)
	}
}

// Sticky by address with the cookie key off: the clients keep the fleet's own
// cookie, which the balancer leaves alone.
func TestStickyByAddress(t *testing.T) {
	servers, b := fleet(t, 3, "--keys", "ip")
	before := counters(servers)
	all := clients(t, b.URL(), "31", 6)
	for r := range 5 {
		talk(t, all, fmt.Sprint(r))
	}
	made, used, unknown := tally(servers, before)
	if made != len(all) || used < 2 || unknown != 0 {
		t.Errorf("%d handshakes by %d clients at %d servers, %d answers 402", made, len(all), used, unknown)
	}
}

// The clients of a killed server go over to the others; the others' clients notice
// nothing.
func TestFailover(t *testing.T) {
	servers, b := fleet(t, 3)
	all := clients(t, b.URL(), "32", 6)
	talk(t, all, "before")
	var dead *peer.Server
	for _, s := range servers {
		if s.Counters().Handshakes > 0 && dead == nil {
			dead = s
		}
	}
	var alive []*peer.Server
	for _, s := range servers {
		if s != dead {
			alive = append(alive, s)
		}
	}
	before := counters(alive)
	dead.Kill()
	// Each client is either untouched or has a new session: it hears itself again.
	for i, c := range all {
		channel := fmt.Sprintf("/self/%d", i)
		n := 0
		proc.Until(t, proc.Patience, c.Name+" hears itself after the kill", func() error {
			c.Publish(channel, fmt.Sprintf(`"after %d"`, n), fmt.Sprintf("after %d", n))
			n++
			for k := range n {
				if c.Copies(channel, fmt.Sprintf(`"after %d"`, k)) > 0 {
					return nil
				}
			}
			return fmt.Errorf("not after %d messages", n)
		})
	}
	moved := 0
	for _, c := range all {
		switch n := c.Times("handshake"); n {
		case 1:
		case 2:
			moved++
		default:
			t.Errorf("%s made %d handshakes", c.Name, n)
		}
	}
	made, _, _ := tally(alive, before)
	if moved == 0 || made != moved {
		t.Errorf("%d clients moved, the others saw %d handshakes", moved, made)
	}
}
