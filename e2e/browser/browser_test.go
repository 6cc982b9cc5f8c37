// Package browser tests the demo as a person meets it: its page in Chromium, the
// whole cloud in one process behind it.
package browser

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/testenv"
)

func TestMain(m *testing.M) { proc.Main(m) }

// screenshots names the variable with the folder that gets a picture of each step.
const screenshots = "HALLEY_SCREENSHOTS"

// steps are what the script of testdata/clients/browser does, in its order.
var steps = []string{"two comets", "chat", "moved", "stopped", "started again", "cross-origin", "done"}

// Two browser contexts on two comets chat, one tab is moved by its button, one
// comet is stopped by its button, its tab is soon seen on another comet, the chat
// goes on, the comet is started again, and a page of another origin joins.
func TestPageBound(t *testing.T) {
	for _, tc := range []struct {
		transport string
		// failover is from the click that stops a comet until its tab is on another one.
		failover time.Duration
	}{
		{"websocket", 1500 * time.Millisecond},
		{"long-polling", 500 * time.Millisecond},
	} {
		t.Run(tc.transport, func(t *testing.T) {
			base := demo(t)
			var done []string
			failed := ""
			took := time.Duration(-1)
			args := []string{base, tc.transport}
			if folder := os.Getenv(screenshots); folder != "" {
				args = append(args, folder)
			}
			script := peer.Browse(t, func(line string) {
				var report struct {
					Step, Failed string
					Millis       int64
				}
				if err := json.Unmarshal([]byte(line), &report); err != nil {
					return
				}
				t.Log(line)
				if failed = report.Failed; failed == "" {
					done = append(done, report.Step)
				}
				if report.Step == "stopped" {
					took = time.Duration(report.Millis) * time.Millisecond
				}
			}, args...)
			if code := script.Wait(3 * time.Minute); code != 0 || failed != "" || !slices.Equal(done, steps) {
				t.Fatalf("the script ended with %d after %q: %s\n%s", code, done, failed, script.Log())
			}
			if limit := testenv.Bound(tc.failover); took > limit {
				t.Errorf("the tab of the stopped comet was on another one after %v, want %v", took, limit)
			}
		})
	}
}

// demo starts `balancer demo` on a free port and returns its address.
func demo(t *testing.T) string {
	t.Helper()
	at := make(chan string, 1)
	listens := regexp.MustCompile(`listen on (http://\S+)`)
	p := proc.Start(t, proc.Spec{
		Name: "demo", Path: proc.Program(t, "balancer"), Args: []string{"demo", "--listen", "127.0.0.1:0"},
		OnLine: func(line string) {
			if m := listens.FindStringSubmatch(line); m != nil {
				at <- m[1]
			}
		},
	})
	select {
	case base := <-at:
		return base
	case <-time.After(proc.Patience):
		t.Fatalf("the demo never said where it listens:\n%s", p.Log())
		return ""
	}
}
