package e2e

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/testenv"
)

// All comets are restarted, one after the other, under load. No request fails, and
// clients miss only what is published while they move.
func TestRollingRestart(t *testing.T) {
	const drainTimeout = 20 * time.Second
	c := cloud.New(t)
	flags := []string{"--drain-timeout", drainTimeout.String(), "--drain-rate", "50"}
	comets := make([]*cloud.Comet, 3)
	for i := range comets {
		comets[i] = c.Comet(fmt.Sprintf("comet-%d", i+1), flags...)
	}
	c.Linked(comets...)
	b := c.Balancer("balancer")
	b.Covers(comets...)

	crowd := newCrowd(t, b, "22", testenv.Clients(24))
	crowd.visited(4, wholeVisit)
	for i := range comets {
		// The publisher has its session at a comet that stays meanwhile.
		crowd.hears(comets[(i+1)%len(comets)], 100)
		old := comets[i]
		if status := old.Stop(drainTimeout + proc.Patience); status != 0 {
			t.Errorf("%s ended with %d", old.Name, status)
		}
		_, port, err := net.SplitHostPort(old.Listen)
		if err != nil {
			t.Fatal(err)
		}
		comets[i] = c.Comet(old.Name, append([]string{"--listen", "127.0.0.1:" + port}, flags...)...)
		c.Linked(comets...)
		b.Covers(comets[i])
		crowd.until("all have subscribed again", (*numbered).subscribed)
		crowd.heard()
	}
	crowd.end()
	crowd.wantMovers()
}
