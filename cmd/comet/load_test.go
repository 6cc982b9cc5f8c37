package main

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/halleycomet/halley/internal/load"
)

// shortLoad is a run that takes no longer than a test may.
var shortLoad = []string{"load", "--clients", "5", "--duration", "300ms", "--warm-up", "10ms", "--settle", "1ms", "--rate", "50.5"}

func TestLoad(t *testing.T) {
	server := lone(t, "--admin", "127.0.0.1:0")
	for _, transport := range []string{"websocket", "long-polling"} {
		got := finish(t, append(shortLoad, "--transport", transport, "--waves", "1", server.URL)...)
		if got.status != 0 {
			t.Fatalf("status %d: %s%s", got.status, got.stdout, got.stderr)
		}
		for _, text := range []string{": 5 clients over " + transport + " in 1 room", "wave 1", "latency", "lost 0, doubled 0"} {
			if !strings.Contains(got.stdout.String(), text) {
				t.Errorf("no %q in\n%s", text, got.stdout)
			}
		}
		if !strings.Contains(got.stderr.String(), "comet: measuring for 300ms\n") {
			t.Errorf("says %q", got.stderr)
		}
	}
	if n := server.metric("halley_comet_sessions"); n != "0" {
		t.Errorf("%s sessions are left", n)
	}
}

func TestLoadAsJSON(t *testing.T) {
	server := lone(t)
	args := append(shortLoad, "--json", "--window", "4", "--rooms", "5", "--publishers=2", "--size", "1KiB", server.URL)
	if _, err := os.Stat("/proc/self/smaps_rollup"); err == nil {
		args = append(args, "--pid", strconv.Itoa(os.Getpid()))
	}
	got := finish(t, args...)
	var r load.Report
	if err := json.Unmarshal([]byte(got.stdout.String()), &r); err != nil || got.status != 0 {
		t.Fatalf("status %d, %v: %s%s", got.status, err, got.stdout, got.stderr)
	}
	if r.Connected != 5 || r.Rooms != 5 || r.Publishers != 2 || r.Size != 1024 || r.Delivered < 5 || r.Delivered != r.Published || r.Measured.Deliveries < 1 {
		t.Errorf("%+v", r)
	}
	if strings.Contains(strings.Join(args, " "), "--pid") && (r.Memory.IdleBytes == 0 || r.Measured.ServerCPU == 0) {
		t.Errorf("%+v %+v", r.Memory, r.Measured)
	}
}

// A comet that may queue next to nothing cuts clients: the report says so, and so does the
// status.
func TestLoadFailsWhenClientsAreCut(t *testing.T) {
	server := lone(t, "--max-message-size", "1KiB")
	got := finish(t, append(shortLoad, "--size", "2KiB", server.URL)...)
	if got.status != 1 || !strings.Contains(got.stderr.String(), "a publisher failed") {
		t.Errorf("status %d: %s%s", got.status, got.stdout, got.stderr)
	}
}

func TestLoadOfWrongUsage(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		says   []string
	}{
		{[]string{}, 2, []string{"URL"}},
		{[]string{"127.0.0.1:8080/cometd"}, 2, []string{`"127.0.0.1:8080/cometd" is no URL like http://host:port/cometd`, "See comet load --help."}},
		{[]string{"--clients", "0", "--rate", "-1", "--transport", "pigeon", "http://x/"}, 2, []string{"--clients: 0", "--rate: -1", "--transport", "pigeon"}},
		{[]string{"--rate", "fast", "http://x/"}, 2, []string{`--rate: "fast" is not a number`}},
		{[]string{"--clients", "1000000", "http://127.0.0.1:1/"}, 1, []string{"open files", "ulimit -n"}},
		{[]string{"http://127.0.0.1:1/"}, 1, []string{"refused"}},
	} {
		got := finish(t, append([]string{"load"}, c.args...)...)
		if got.status != c.status || got.stdout.String() != "" {
			t.Errorf("%q: status %d, want %d: %s", c.args, got.status, c.status, got.stdout)
		}
		for _, text := range c.says {
			if !strings.Contains(got.stderr.String(), text) {
				t.Errorf("%q: no word of %q: %s", c.args, text, got.stderr)
			}
		}
	}
}
