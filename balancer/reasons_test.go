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
