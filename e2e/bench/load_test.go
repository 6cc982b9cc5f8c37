package bench

import (
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/load"
)

// urlOf reads the line with which a server says that it listens.
func urlOf(tb testing.TB, line string) string {
	tb.Helper()
	var ready struct{ URL string }
	if err := json.Unmarshal([]byte(line), &ready); err != nil || ready.URL == "" {
		tb.Fatalf("%q names no URL: %v", line, err)
	}
	return ready.URL
}

// measure starts a server, runs `comet load` on it as a process of its own, and stops
// the server.
func measure(tb testing.TB, s server, args ...string) *load.Report {
	tb.Helper()
	p, url := s.start(tb)
	defer func() {
		p.Kill()
		p.Wait(10 * time.Second)
	}()
	cmd := exec.CommandContext(tb.Context(), proc.Program(tb, "comet"),
		append([]string{"load", "--json", "--pid", strconv.Itoa(p.PID()), url}, args...)...)
	cmd.Stderr = os.Stderr
	// A run that lost something fails, and reports all the same.
	out, failed := cmd.Output()
	var r load.Report
	if err := json.Unmarshal(out, &r); err != nil {
		tb.Fatalf("%s: comet load: %v; %v\n%s", s.column, failed, err, out)
	}
	return &r
}
