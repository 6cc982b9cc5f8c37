package comet

import (
	"testing"
	"time"
)

// Run with: go test ./comet -run '^$' -bench Crowd -benchtime 1x

// BenchmarkCrowdSteady is one message of 100 bytes to 1,000 subscribers, 20 times a
// second, by a comet and by the bare loop in turn: medians.
func BenchmarkCrowdSteady(b *testing.B) {
	for range b.N {
		compareSteady(b, 5, 60)
	}
}

func compareSteady(tb testing.TB, rounds, messages int) (comet, bare measured) {
	const n = 1000
	cp, bp := startProcess(tb, "comet"), startProcess(tb, "bare")
	cc, bc := gather(tb, cp.port, n, true), gather(tb, bp.port, n, false)
	var comets, bares []measured
	for i := range rounds + 1 {
		stop := cp.profile("comet")
		c := cc.steadily(cp, messages, 50*time.Millisecond)
		stop()
		stop = bp.profile("bare")
		r := bc.steadily(bp, messages, 50*time.Millisecond)
		stop()
		tb.Logf("comet %v; bare loop %v", c, r)
		if i > 0 { // the first warms up
			comets, bares = append(comets, c), append(bares, r)
		}
	}
	comet, bare = median(comets), median(bares)
	tb.Logf("median: comet %v", comet)
	tb.Logf("median: bare loop %v", bare)
	tb.Logf("ratios: CPU %.2f, p99 %.2f", float64(comet.cpu)/float64(bare.cpu), float64(comet.p99)/float64(bare.p99))
	return comet, bare
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
