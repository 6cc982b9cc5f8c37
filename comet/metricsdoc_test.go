package comet

import (
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// docs/metrics.md names every metric and every reason.
func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	descriptions := make(chan *prometheus.Desc, 100)
	s.Collector().Describe(descriptions)
	close(descriptions)
	if len(descriptions) < 10 {
		t.Fatalf("%d metrics", len(descriptions))
	}
	for d := range descriptions {
		_, after, _ := strings.Cut(d.String(), `fqName: "`)
		name, _, _ := strings.Cut(after, `"`)
		if !strings.Contains(string(text), "`"+name+"`") && !strings.Contains(string(text), "`"+name+"{") {
			t.Errorf("%s is not documented", name)
		}
	}
	for _, why := range []Drop{
		DropQueueMessages, DropQueueBytes, DropUnackedMessages, DropUnackedBytes, DropTotalBytes, DropExpired, DropProcessing,
		DropLeaving, DropServer, DropReplaced,
	} {
		if !strings.Contains(string(text), "`"+string(why)+"`") {
			t.Errorf("the reason %s is not documented", why)
		}
	}
}
