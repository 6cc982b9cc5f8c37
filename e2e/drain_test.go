package e2e

import (
	"strconv"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/testenv"
)

// A comet that leaves in order under load sends its clients away with all that was
// queued for them. What they miss is what was published until they subscribed
// elsewhere; it is counted here.
func TestDrainingCometLosesOnlyTheMove(t *testing.T) {
	const (
		drainTimeout = 30 * time.Second
		rate         = 20 // clients a second
	)
	c := cloud.New(t)
	leaves := c.Comet("comet-1", "--drain-timeout", drainTimeout.String(), "--drain-rate", strconv.Itoa(rate))
	stays := c.Comet("comet-2")
	c.Linked(leaves, stays)
	b := c.Balancer("balancer")
	b.Covers(leaves, stays)

	crowd := newCrowd(t, b, "21", testenv.Clients(32))
	crowd.spread()
	crowd.hears(stays, 200)
	crowd.until("messages flow", func(n *numbered) bool { return n.count() > 20 })
	sent := time.Duration(crowd.at(tagOf(t, leaves))) * time.Second / rate // how long sending them away takes
	began := time.Now()
	status := leaves.Stop(drainTimeout + proc.Patience)
	took := time.Since(began)
	if status != 0 {
		t.Errorf("the comet ended with %d", status)
	}
	if latest := sent + testenv.Bound(2*time.Second); took < sent/2 || took > latest {
		t.Errorf("the comet ended after %v; sending its clients away takes %v, so %v to %v is right", took, sent, sent/2, latest)
	}
	there := tagOf(t, stays)
	crowd.gathers(there)
	crowd.end()
	crowd.wantMovers()
	t.Logf("the comet was gone after %v; sending its clients away takes %v", took.Round(time.Millisecond), sent)
}
