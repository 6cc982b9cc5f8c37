package foreign

import (
	"fmt"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

// Checks by a whole session are served by the servers of others as a client's is: with
// the cookie that they gave it, and none is unknown.
func TestChecksBySession(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		servers, b := fleet(t, kind, 2, "--check", "bayeux", "--check-interval", "50ms")
		before := counters(servers)
		proc.Until(t, proc.Patience, "each server is checked", func() error {
			for i, s := range servers {
				if n := s.Counters().Handshakes - before[i].Handshakes; n < 20 {
					return fmt.Errorf("%d handshakes", n)
				}
			}
			return nil
		})
		for i, s := range servers {
			if n := s.Counters().Unknown - before[i].Unknown; n != 0 {
				t.Errorf("%d unknown sessions", n)
			}
		}
		if n := b.Counter("halley_balancer_comets", `state="healthy"`); n != 2 {
			t.Errorf("%v servers are healthy", n)
		}
		if n := b.Counter("halley_balancer_checks_total", `result="failed"`); n != 0 {
			t.Errorf("%v checks failed", n)
		}
	})
}
