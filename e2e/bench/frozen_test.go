package bench

import (
	"strconv"
	"testing"

	"github.com/halleycomet/halley/internal/testenv"
)

// A client that stops reading delays nobody: the p99 of the others is what it is
// without it. Its socket takes some 100 KB, so messages are large enough that most of the run
// is after that.
func TestAFrozenClientDelaysNobodyBound(t *testing.T) {
	args := []string{"--clients", strconv.Itoa(testenv.Clients(999)), "--rate", "20", "--size", "4KiB", "--warm-up", "3s", "--duration", "4s", "--settle", "0"}
	var with, without []float64
	strict, rounds := testenv.Ratio(1) == 1, 1
	if strict {
		rounds = 3
	}
	for range rounds {
		for values, frozen := range map[*[]float64]string{&without: "0", &with: "1"} {
			r := measure(t, ours, append(args, "--frozen", frozen)...)
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
