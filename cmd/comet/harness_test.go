package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/comet"
	"github.com/halleycomet/halley/internal/cli"
	"github.com/halleycomet/halley/internal/testenv"
)

// output collects what a command writes, and lets a test wait for it.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newOutput() *output { return &output{changed: make(chan struct{}, 1)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// patience is how long tests wait for what must happen.
var patience = testenv.Bound(10 * time.Second)

// command is a running command of the program.
type command struct {
	t      *testing.T
	stdout *output
	stderr *output
	cancel context.CancelFunc
	ended  chan struct{}
	status int
}

// start runs the program with arguments; environment holds NAME=value.
func start(t *testing.T, environment []string, stdin io.Reader, args ...string) *command {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &command{t: t, stdout: newOutput(), stderr: newOutput(), cancel: cancel, ended: make(chan struct{})}
	call := cli.Call{Args: args, Stdout: c.stdout, Stderr: c.stderr, LookupEnv: func(name string) (string, bool) {
		for _, e := range environment {
			if n, value, _ := strings.Cut(e, "="); n == name {
				return value, true
			}
		}
		return "", false
	}}
	go func() {
		defer close(c.ended)
		c.status = program(stdin).Run(ctx, call)
	}()
	t.Cleanup(func() { c.stop() })
	return c
}

// finish runs the program to its end.
func finish(t *testing.T, args ...string) *command {
	t.Helper()
	c := start(t, nil, nil, args...)
	c.wait()
	return c
}

// stop interrupts the command, as Ctrl-C does, and returns its exit status.
func (c *command) stop() int {
	c.t.Helper()
	c.cancel()
	return c.wait()
}

func (c *command) wait() int {
	c.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(patience):
		c.t.Fatalf("the command does not end\n%s", c.stderr)
	}
	return c.status
}

// says waits until the output holds text.
func (c *command) says(o *output, text string) {
	c.t.Helper()
	deadline := time.After(patience)
	for !strings.Contains(o.String(), text) {
		select {
		case <-o.changed:
		case <-c.ended:
			if !strings.Contains(o.String(), text) {
				c.t.Fatalf("the command has ended with status %d without %q\n%s\n%s", c.status, text, c.stdout, c.stderr)
			}
		case <-deadline:
			c.t.Fatalf("no %q\n%s\n%s", text, c.stdout, c.stderr)
		}
	}
}

// served is a running `comet serve`, and where it listens by its own log line.
type served struct {
	*command
	Listen string `json:"listen"`
	Admin  string `json:"admin"`
	Gossip string `json:"gossip"`
	URL    string `json:"url"`
	Tag    string `json:"tag"`
	Cloud  bool   `json:"cloud"`
}

func serve(t *testing.T, args ...string) *served {
	t.Helper()
	m := &served{command: start(t, nil, nil, append([]string{"serve"}, args...)...)}
	m.says(m.stderr, `"msg":"listening"`)
	for line := range strings.Lines(m.stderr.String()) {
		if strings.Contains(line, `"msg":"listening"`) {
			if err := json.Unmarshal([]byte(line), m); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
		}
	}
	return m
}

// get asks the admin address.
func (m *served) get(path string) (status int, body string) {
	m.t.Helper()
	resp, err := admins.Get("http://" + m.Admin + path)
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

var admins = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

// metric is the value of a metric with its labels, as they are written.
func (m *served) metric(name string) string {
	m.t.Helper()
	_, body := m.get("/metrics")
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// until waits for a condition that nothing announces.
func (m *served) until(what string, holds func() bool) {
	m.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			m.t.Fatalf("not within %v: %s\n%s", patience, what, m.stderr)
		}
	}
}

// subscribed waits until a client has subscribed to the channel and has its reply:
// it connects then, and other comets forward the channel.
func (m *served) subscribed(channel string) {
	m.t.Helper()
	m.until("a subscription to "+channel, func() bool {
		_, body := m.get("/sessions")
		var sessions comet.Page[comet.SessionInfo]
		if err := json.Unmarshal([]byte(body), &sessions); err != nil {
			m.t.Fatalf("%v in %s", err, body)
		}
		return slices.ContainsFunc(sessions.Items, func(s comet.SessionInfo) bool {
			return !s.Peer && s.State == "connected" && slices.Contains(s.Channels, channel)
		})
	})
}
