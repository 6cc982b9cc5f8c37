package proc

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// Patience is how long a condition may take that is not itself measured.
const Patience = 30 * time.Second

// Until asks for a condition again and again until it holds. The condition
// returns nil when it does, and otherwise says what is still missing; the test
// fails with its last word when the time is over.
func Until(tb testing.TB, within time.Duration, what string, condition func() error) {
	tb.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-deadline.C:
			tb.Fatalf("not within %v: %s: %v", within, what, err)
		}
	}
}

// Ports waits for a port file and returns its addresses by name.
func (p *Process) Ports(path string) map[string]string {
	p.tb.Helper()
	ports := map[string]string{}
	Until(p.tb, Patience, p.Name+" listens", func() error {
		if p.Ended() {
			p.tb.Fatalf("%s ended before it listened, exit status %d", p.Name, p.code)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			name, addr, ok := strings.Cut(strings.TrimSpace(line), "=")
			if !ok {
				return fmt.Errorf("line %q of the port file", line)
			}
			ports[name] = addr
		}
		return nil
	})
	return ports
}
