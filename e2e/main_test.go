// Package e2e tests Halley from outside: the two programs as processes, driven
// over sockets and signals, with clients that repair nothing. The tests with
// other people's clients and servers are in the directories beside it: node, faye,
// foreign, java, browser, docker and netns.
//
// What a comet did is read from that comet's own counters. No test waits for a
// time: each waits for a condition, with a deadline.
package e2e

import (
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
)

func TestMain(m *testing.M) { proc.Main(m) }

// unknown sums the 402s of the comets: requests that came to a comet which does
// not hold their session.
func unknown(comets []*cloud.Comet) float64 {
	n := 0.0
	for _, m := range comets {
		n += m.Unknown()
	}
	return n
}

// handshakes returns each comet's handshakes so far.
func handshakes(comets []*cloud.Comet) []float64 {
	var all []float64
	for _, m := range comets {
		all = append(all, m.Handshakes())
	}
	return all
}

// since returns how many handshakes there were since, in all, and at how many
// comets.
func since(comets []*cloud.Comet, before []float64) (total float64, used int) {
	for i, m := range comets {
		if n := m.Handshakes() - before[i]; n > 0 {
			total += n
			used++
		}
	}
	return total, used
}
