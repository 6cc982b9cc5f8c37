package foreign

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/testenv"
)

// The clients of a killed server go over to the others; the others' clients notice
// nothing. Who had a poll held handshakes at once: no pause of the client's own, which
// is a second, comes in between.
func TestFailoverBound(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		for i, keys := range []string{"client-id,cookie,ip", "ip"} {
			t.Run(keys, func(t *testing.T) {
				f := failover{kind: kind, net: fmt.Sprint(37 + i), flags: []string{"--keys", keys}}
				f.run(t, func(dead *peer.Server) { dead.Kill() }, 500*time.Millisecond)
			})
		}
	})
}

// A server that stands still breaks no connection. It is found out by two checks that
// wait for 500 ms here.
func TestStandstillBound(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		f := failover{kind: kind, net: "43", flags: []string{"--check-timeout", "500ms", "--check-interval", "500ms"}}
		var frozen *peer.Server
		all := f.run(t, func(dead *peer.Server) { frozen = dead; dead.Freeze() }, 4*time.Second)
		frozen.Signal(syscall.SIGCONT)
		talk(t, all, "after it goes on")
		for _, c := range all {
			if n := c.Times("handshake"); n > 2 {
				t.Errorf("%s made %d handshakes", c.Name, n)
			}
		}
	})
}

// failover is a fleet, of which one server fails.
type failover struct {
	kind, net string
	flags     []string
}

// run has a server fail, and wants each of its clients to have a new session by the limit.
func (f failover) run(t *testing.T, fail func(*peer.Server), limit time.Duration) []*peer.Client {
	t.Helper()
	servers, b := fleet(t, f.kind, 3, f.flags...)
	began := counters(servers)
	all := clients(t, b.URL(), f.net, 6)
	talk(t, all, "before")
	dead := servers[0]
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
	marks := make([]int, len(all))
	for i, c := range all {
		marks[i] = c.Mark()
	}
	failed := time.Now()
	fail(dead)
	// Each client is either untouched or has a new session: it hears itself again.
	for i, c := range all {
		channel := fmt.Sprintf("/self/%d", i)
		n := 0
		proc.Until(t, proc.Patience, c.Name+" hears itself again", func() error {
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
	for i, c := range all {
		switch n := c.Times("handshake"); n {
		case 1:
		case 2:
			moved++
			again := time.UnixMilli(c.Handshaken(0, marks[i]).At)
			t.Logf("%s: new session after %v", c.Name, again.Sub(failed).Round(time.Millisecond))
			if took := again.Sub(failed); took > testenv.Bound(limit) {
				t.Errorf("%s has a new session after %v, want %v", c.Name, took, testenv.Bound(limit))
			}
		default:
			t.Errorf("%s made %d handshakes", c.Name, n)
		}
	}
	made, _, _ := tally(alive, before)
	if moved == 0 || made != moved {
		t.Errorf("%d clients moved, the others saw %d handshakes", moved, made)
	}
	return all
}
