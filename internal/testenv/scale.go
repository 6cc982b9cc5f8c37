package testenv

import (
	"os"
	"strings"
	"time"
)

// StrictVar names the variable that is 1 in the serial stage.
const StrictVar = "HALLEY_STRICT"

// Slack is by how much bounds are widened where tests of several packages share
// the processors.
const Slack = 4

// Bound returns the time that a test may assert: d in the serial strict stage,
// four times d otherwise.
func Bound(d time.Duration) time.Duration {
	if strict() {
		return d
	}
	return Slack * d
}

// Ratio is Bound for anything that is not a time: bytes, counts, quotients whose
// upper limit is asserted.
func Ratio(f float64) float64 {
	if strict() {
		return f
	}
	return Slack * f
}

// Clients returns how many clients a test should run: n, or an eighth of it (at
// least two) under the race detector, which makes each several times as dear.
func Clients(n int) int { return clients(n, Race) }

func clients(n int, race bool) int {
	if race {
		return max(2, n/8)
	}
	return n
}

func strict() bool { return os.Getenv(StrictVar) == "1" }

func split(list string) []string {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}
