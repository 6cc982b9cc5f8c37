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
	var with, without []float64
	strict, rounds := testenv.Ratio(1) == 1, 1
	if strict {
		rounds = 3
	}
	for range rounds {
		for values, frozen := range map[*[]float64]string{&without: "0", &with: "1"} {
			r := measure(t, keeping, append(args, "--frozen", frozen)...)
			if !r.Clean() {
				t.Errorf("with %s frozen: %+v", frozen, r)
			}
			*values = append(*values, r.Measured.Latency.P99)
		}
	}
	t.Logf("p99 without %v ms, with %v ms", without, with)
	a, b := median(without), median(with)
	most := testenv.Ratio(1.5) * a
	if !strict {
		// Beside other tests such times are blurred. Who waited for the frozen one would wait for seconds.
		most = max(most, 250)
	}
	if b > most {
		t.Errorf("p99 %.2f ms with a frozen client, %.2f ms without", b, a)
	}
}
