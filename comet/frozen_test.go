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
	const messages, every, rounds = 60, 20 * time.Millisecond, 3
	p := startProcess(t, "comet")
	run := func(frozen bool) measured {
		c := gather(t, p.port, n, true)
		if frozen {
			c.freeze()
		}
		var all []measured
		c.steadily(p, messages/3, every) // warms up
		for range rounds {
			all = append(all, c.steadily(p, messages, every))
		}
		c.leave()
		return median(all)
	}
	before, with, after := run(false), run(true), run(false)
	without := max(before.p99, after.p99) // the machine does other things, too
	t.Logf("p99 %v with one that is frozen, %v without it before, %v after", with.p99, before.p99, after.p99)
	if bound := testenv.Ratio(1.5) * float64(without); float64(with.p99) > bound {
		t.Errorf("p99 %v, beyond %v", with.p99, time.Duration(bound))
	}
}
