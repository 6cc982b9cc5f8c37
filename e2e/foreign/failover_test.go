package foreign

import (
	"fmt"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
)

// The clients of a killed server go over to the others; the others' clients notice
// nothing.
func TestFailover(t *testing.T) {
	for i, keys := range []string{"client-id,cookie,ip", "ip"} {
		t.Run(keys, func(t *testing.T) { failover(t, fmt.Sprint(37+i), "--keys", keys) })
	}
}

func failover(t *testing.T, net string, flags ...string) {
	t.Helper()
	servers, b := fleet(t, 3, flags...)
	began := counters(servers)
	all := clients(t, b.URL(), net, 6)
	talk(t, all, "before")
	var dead *peer.Server
	for i, s := range servers {
		// One that holds clients of this test, not only the balancer's first one.
		if s.Counters().Handshakes > began[i].Handshakes {
			dead = s
			break
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
