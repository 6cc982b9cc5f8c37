package bench

import (
	"strconv"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/testenv"
)

// A client that stops reading delays nobody: the p99 of the others is what it is
// without it. It is kept all the while: its queue may be large, and it is not cut before it
// has taken nothing for ten seconds.
func TestAFrozenClientDelaysNobodyBound(t *testing.T) {
	args := []string{"--clients", strconv.Itoa(testenv.Clients(999)), "--rate", "20", "--warm-up", "1s", "--duration", "5s", "--settle", "0"}
	keeping := ours
	keeping.start = func(tb testing.TB) (*proc.Process, string) { return startComet(tb, "--max-queue-bytes", "64MiB") }
	p99 := func(frozen string) float64 {
		r := measure(t, keeping, append(args, "--frozen", frozen)...)
		if !r.Clean() {
			t.Errorf("with %s frozen: %+v", frozen, r)
		}
		return r.Measured.Latency.P99
	}
	bound, least := testenv.Ratio(1.5), 1
	strict := bound == 1.5
	if strict {
		least = 3
	}
	ratio := testenv.Settle(least, 7, []float64{bound}, func() []float64 {
		without, with := p99("0"), p99("1")
		t.Logf("p99 %.2f ms with a frozen client, %.2f ms without", with, without)
		if !strict {
			// Beside other tests such times are blurred. Who waited for the frozen one would wait for seconds.
			without = max(without, 42)
		}
		return []float64{with / without}
	})[0]
	if ratio > bound {
		t.Errorf("p99 is %.2f times that without it, beyond %.2f", ratio, bound)
	}
}
