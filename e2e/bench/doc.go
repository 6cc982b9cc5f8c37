// Package bench measures the comet beside other servers, all in one run and by the
// same tool, `comet load`: docs/performance.md has the figures and how to read them.
//
//	HALLEY_FIGURES=3 go test ./e2e/bench -run Figures -v -timeout 90m
//
// prints the table as markdown. The number is that of the rounds: in each, every server
// is started afresh, one after the other, and a figure is the median of the rounds.
// HALLEY_FIGURES_CLIENTS is how many clients wait for the rows on memory, 10,000 unless it
// is given. Without HALLEY_FIGURES there are small runs only, which show that everything
// works; they assert no figure.
//
// Likewise the balancer, beside HAProxy and nginx (testdata/bench):
//
//	HALLEY_SIDE=7 go test ./e2e/bench -run SideBySide -v -timeout 90m
//
// takes that many pairs: in each, every proxy in turn is started for each kind of run, and the
// ratios are those of the same pair.
package bench
