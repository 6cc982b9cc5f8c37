//go:build unix

package e2e

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/testenv"
)

// A balancer is restarted under load: the new process takes the sockets over from the
// old one. No connection is refused, no request fails, every session lives on, and
// what was published meanwhile arrives everywhere, once.
func TestBalancerRestartsUnderLoad(t *testing.T) {
	for name, gossip := range map[string]string{"gossip at any port": "127.0.0.1:0", "gossip at a port of its own": freePort(t)} {
		t.Run(name, func(t *testing.T) { restartUnderLoad(t, gossip) })
	}
}

func restartUnderLoad(t *testing.T, gossip string) {
	c := cloud.New(t)
	comets := c.Comets(2)
	listen, admin := freePort(t), freePort(t)
	flags := []string{"--listen", listen, "--admin", admin, "--gossip", gossip, "--stop-time", "3s", "--handover-socket", filepath.Join(t.TempDir(), "s")}
	b := c.Balancer("balancer", flags...)
	b.Covers(comets...)

	crowd := newCrowd(t, b, "23", testenv.Clients(12))
	crowd.visited(3, wholeVisit)
	crowd.dialed()
	crowd.hears(comets[0], 50)

	for range 2 {
		old := b
		b = c.Balancer("balancer", flags...)
		proc.Until(t, proc.Patience, "the old one has ended", func() error {
			if !old.Ended() {
				return errors.New("not yet")
			}
			return nil
		})
		if code := old.Stop(proc.Patience); code != 0 {
			t.Errorf("the old one ended with %d", code)
		}
	}
	b.Covers(comets...)
	crowd.b, crowd.refused = b, 0
	crowd.end()
	if n := crowd.moves(); n != 0 {
		t.Errorf("clients have handshaken anew %d times", n)
	}
	if n := crowd.anew.Load(); n != 0 {
		t.Errorf("%d visitors were told to handshake anew", n)
	}
}
