// Package testenv tells tests what they run on: which outside tools are there,
// how tight a bound may be asserted, and how many clients the machine bears.
//
// Two variables of the environment steer it:
//
//	HALLEY_REQUIRE=node,java,docker,browser,netns,haproxy,nginx,slowhttptest   what must be present: a test that lacks it fails instead of being skipped
//	HALLEY_STRICT=1                                                      the serial stage: bounds are asserted as written; otherwise four times as wide
//
// The package starts no goroutine that outlives a call, holds no lock but the
// one-time probes' own, and is imported by tests only.
package testenv
