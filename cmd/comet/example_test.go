package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The example is a configuration that is right as it is, and with every key in force.
func TestExampleIsRight(t *testing.T) {
	example := finish(t, "config", "--example").stdout.String()
	for _, text := range []string{example, regexp.MustCompile(`(?m)^#([a-z])`).ReplaceAllString(example, "$1")} {
		path := filepath.Join(t.TempDir(), "halley.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := finish(t, "config", "--check", path); got.status != 0 {
			t.Errorf("status %d: %s\n%s", got.status, got.stderr, text)
		}
	}
	if host, err := os.Hostname(); err == nil && strings.Contains(example, host) {
		t.Errorf("names this machine, %s", host)
	}
}
