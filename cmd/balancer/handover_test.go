package main

import (
	"net/http"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/cli"
)

// One balancer after the other takes over from the one before, which ends by itself
// and leaves the port file to its successor.
func TestHandoverAgainAndAgain(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: the other side is known on Linux only")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "ports")
	args := []string{"--listen", "127.0.0.1:0", "--comets", fakeComet(t), "--port-file", file, "--handover-socket", filepath.Join(dir, "s"), "--stop-time", "1s", "--log-level", "warn"}
	c := start(t, nil, args...)
	ports := awaitPorts(t, c, file)
	for range 4 {
		next := start(t, nil, args...)
		select {
		case status := <-next.ended:
			t.Fatalf("the next one ended with %d: %s", status, next.stderr.String())
		case status := <-c.ended:
			if c.ended <- status; status != 0 {
				t.Fatalf("status %d: %s", status, c.stderr.String())
			}
		case <-time.After(patience):
			t.Fatalf("the program does not end: %s", c.stderr.String())
		}
		if got := status("http://" + ports.Listen + "/cometd/elsewhere"); got != http.StatusOK {
			t.Fatalf("the next one answers %d", got)
		}
		if now, err := cli.ReadPorts(file); err != nil || now.Listen != ports.Listen {
			t.Fatalf("the port file: %+v, %v", now, err)
		}
		c = next
	}
}
