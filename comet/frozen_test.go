package comet

import (
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/testenv"
)

// One subscriber of 1,000 that does not read delays the others by nothing: p99 of
// their deliveries is within 1.5 times that without it.
func TestFrozenSubscriberBound(t *testing.T) {
	n := testenv.Clients(1000)
	const messages, every = 100, 20 * time.Millisecond
	p := startProcess(t, "comet")
	p99 := func(frozen bool) time.Duration {
		c := gather(t, p.port, n, true)
		defer c.leave()
		if frozen {
			c.freeze()
		}
		c.steadily(p, messages/5, every) // warms up
		return c.steadily(p, messages, every).p99
	}
	bound := testenv.Ratio(1.5)
	ratio := testenv.Settle(3, 9, []float64{bound}, func() []float64 {
		without, with := p99(false), p99(true)
		t.Logf("p99 %v with one that is frozen, %v without it", with, without)
		return []float64{float64(with) / float64(without)}
	})[0]
	if ratio > bound {
		t.Errorf("p99 is %.2f times that without it, beyond %.2f", ratio, bound)
	}
}
