package comet

import (
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/testenv"
)

// Run with: go test ./comet -run '^$' -bench Crowd -benchtime 1x

// BenchmarkCrowdSteady is one message of 100 bytes to 1,000 subscribers, 20 times a
// second, by a comet and by the bare loop in turn.
func BenchmarkCrowdSteady(b *testing.B) {
	for range b.N {
		pair := steadyPairs(b, 60)
		medians := testenv.Settle(5, 5, []float64{0, 0}, pair)
		b.Logf("medians of the ratios: CPU %.2f, p99 %.2f", medians[0], medians[1])
	}
}

// steadyPairs returns what measures a comet and the bare loop in turn, and tells the
// ratios of their CPU and of their p99.
func steadyPairs(tb testing.TB, messages int) (pair func() []float64) {
	const n, every = 1000, 50 * time.Millisecond
	cp, bp := startProcess(tb, "comet"), startProcess(tb, "bare")
	cc, bc := gather(tb, cp.port, n, true), gather(tb, bp.port, n, false)
	cc.steadily(cp, messages/2, every) // both warm up
	bc.steadily(bp, messages/2, every)
	return func() []float64 {
		stop := cp.profile("comet")
		comet := cc.steadily(cp, messages, every)
		stop()
		stop = bp.profile("bare")
		bare := bc.steadily(bp, messages, every)
		stop()
		ratios := []float64{float64(comet.cpu) / float64(bare.cpu), float64(comet.p99) / float64(bare.p99)}
		tb.Logf("comet %v; bare loop %v; ratios %.2f", comet, bare, ratios)
		return ratios
	}
}

// BenchmarkCrowdSaturated is the same as fast as the clients take it, 64 messages
// being under way.
func BenchmarkCrowdSaturated(b *testing.B) {
	for range b.N {
		p := startProcess(b, "comet")
		c := gather(b, p.port, 1000, true)
		for range 3 {
			stop := p.profile("comet")
			b.Log(c.saturated(p, 2000, 64))
			stop()
		}
	}
}

// BenchmarkCrowdIdle is the memory of the comet for each of 10,000 clients that are
// connected, subscribed, and have a connect held.
func BenchmarkCrowdIdle(b *testing.B) {
	const n = 10_000
	for range b.N {
		p := startProcess(b, "comet")
		before := p.ask("resident")
		gather(b, p.port, n, true)
		each := func() float64 { return float64(p.ask("resident")-before) / n }
		b.Logf("%.0f bytes of resident memory for each", each())
		p.ask("free")
		b.Logf("%.0f after unused memory was given back", each())

	}
}
