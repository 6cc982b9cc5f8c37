package balancer

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every reason is a metric label, and stands in the documentation of the metrics.
func TestReasonsAreDocumented(t *testing.T) {
	docs, err := os.ReadFile(filepath.Join("..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^\t[rR]eason\w+ +(?:Reason +)?= "(\w+)"`)
	n := 0
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllSubmatch(source, -1) {
			n++
			if reason := string(m[1]); !strings.Contains(string(docs), "`"+reason+"`") {
				t.Errorf("%s: docs/metrics.md does not know the reason %s", file, reason)
			}
		}
	}
	if n < 35 {
		t.Errorf("only %d reasons were found", n)
	}
}

// So is what brings a comet into its state, and how far a request had come that was sent
// again; both are single words.
func TestOtherReasonsAreDocumented(t *testing.T) {
	docs, err := os.ReadFile(filepath.Join("..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("state.go")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^\tcause\w+ +cause = "(.*?)"`).FindAllSubmatch(source, -1) {
		all = append(all, string(m[1]))
	}
	if len(all) != 22 {
		t.Errorf("%d causes were found", len(all))
	}
	for s := range stage(stages) {
		switch s {
		case stageFull, stageQueueFull, stageQueueLate, stageReleased, stageClient, stageGone:
			continue // nothing is sent again then
		}
		all = append(all, s.String())
	}
	for _, reason := range all {
		if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(reason) {
			t.Errorf("%q is no single word", reason)
		}
		if !strings.Contains(string(docs), "`"+reason+"`") {
			t.Errorf("docs/metrics.md does not know the reason %s", reason)
		}
	}
}
