package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/balancer"
	"github.com/halleycomet/halley/internal/cli"
	"github.com/halleycomet/halley/internal/testenv"
)

var patience = testenv.Bound(10 * time.Second)

// safeBuffer is written by the program while the test reads it.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// command is a call of the program; environment holds NAME, value pairs.
type command struct {
	stdout, stderr safeBuffer
	cancel         context.CancelFunc
	ended          chan int
}

func start(t *testing.T, environment map[string]string, args ...string) *command {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &command{cancel: cancel, ended: make(chan int, 1)}
	go func() {
		c.ended <- program().Run(ctx, cli.Call{
			Args: args, Stdout: &c.stdout, Stderr: &c.stderr,
			LookupEnv: func(name string) (string, bool) { v, ok := environment[name]; return v, ok },
		})
	}()
	t.Cleanup(func() { c.end(t) })
	return c
}

// end stops the command and returns its status.
func (c *command) end(t *testing.T) int {
	t.Helper()
	c.cancel()
	return c.wait(t)
}

func (c *command) wait(t *testing.T) int {
	t.Helper()
	select {
	case status := <-c.ended:
		c.ended <- status
		return status
	case <-time.After(patience):
		t.Fatalf("the program does not end:\n%s", c.stderr.String())
		return -1
	}
}

// fakeComet answers every POST as a Bayeux server that knows no session.
func fakeComet(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			io.WriteString(w, `[{"id":"1","channel":"/meta/connect","successful":false,"error":"402::session_unknown"}]`)
			return
		}
		io.WriteString(w, "a page")
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestServeAndStatus(t *testing.T) {
	comet := fakeComet(t)
	file := filepath.Join(t.TempDir(), "ports")
	c := start(t, map[string]string{"HALLEY_ADMIN": "127.0.0.1:0"}, "--listen", "127.0.0.1:0", "--comets", comet, "--port-file", file)
	ports := awaitPorts(t, c, file)

	await(t, "it is ready", func() bool { return status("http://"+ports.Admin+"/readyz") == http.StatusOK })
	resp, err := http.Get("http://" + ports.Listen + "/elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if page, _ := io.ReadAll(resp.Body); string(page) != "a page" {
		t.Errorf("the page is %q", page)
	}
	if got := status("http://" + ports.Admin + "/metrics"); got != http.StatusOK {
		t.Errorf("metrics: %d", got)
	}

	table := start(t, nil, "status", "--admin", ports.Admin)
	if got := table.wait(t); got != cli.ExitDone {
		t.Fatalf("status ends with %d: %s", got, table.stderr.String())
	}
	if out := table.stdout.String(); !strings.Contains(out, "COMET") || !strings.Contains(out, comet) || !strings.Contains(out, "healthy") {
		t.Errorf("the table is\n%s", out)
	}
	if got := c.end(t); got != cli.ExitDone {
		t.Errorf("it ends with %d: %s", got, c.stderr.String())
	}
}

func TestStatusOfNobody(t *testing.T) {
	c := start(t, nil, "status", "--admin", "127.0.0.1:1")
	if got := c.wait(t); got != cli.ExitFailed || c.stderr.String() == "" {
		t.Errorf("status %d, %q", got, c.stderr.String())
	}
}

func TestPrintStatus(t *testing.T) {
	var out bytes.Buffer
	now := time.Now()
	err := printStatus(&out, []balancer.CometStatus{
		{Name: "a", URL: "http://a.example:1/cometd", State: "down", Since: now.Add(-90 * time.Second), Reason: "connection_refused", Load: 7, Drains: []string{"drained_by_admin", "unlisted"}},
		{Name: "b", URL: "http://b.example:1/cometd", State: "draining", Since: now, Reason: "drained_by_admin", Load: 9, Held: 1, Tunnels: 2, Connections: 3, Queue: 4, Unknown: 5,
			Drain: &balancer.DrainStatus{Polls: 6, Tunnels: 1}},
		{Name: "c", URL: "http://c.example:1/cometd", State: "down", Since: now, Reason: "checks_failed"},
	}, now)
	want := "COMET  STATE     FOR    REASON              LOAD  HELD  TUNNELS  CONNS  QUEUE  402  DRAIN    URL\n" +
		"a      down      1m30s  connection_refused  7     0     0        0      0      0    pending  http://a.example:1/cometd\n" +
		"b      draining  0s     drained_by_admin    9     1     2        3      4      5    7 moved  http://b.example:1/cometd\n" +
		"c      down      0s     checks_failed       0     0     0        0      0      0    -        http://c.example:1/cometd\n" +
		"When a is back it gets no new sessions: drained_by_admin, unlisted\n"
	if err != nil || out.String() != want {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// Every mistake is told at once, under the name and the source of its setting.
func TestMistakes(t *testing.T) {
	c := start(t, map[string]string{"HALLEY_KEYS": "cookie,nose", "HALLEY_CLUSTER_KEY": "c2hvcnQ="},
		"--listen", "nowhere", "--place", "moon", "--gossip", "10.0.0.1:7946", "--join", "x", "--admin", "0.0.0.0:9", "--nonsense", "--fall", "0", "--browser-cookie-same-site", "None")
	if got := c.wait(t); got != cli.ExitUsage {
		t.Errorf("status %d", got)
	}
	for _, want := range []string{"--listen", "--place", "--nonsense", "HALLEY_KEYS", "HALLEY_CLUSTER_KEY"} {
		if !strings.Contains(c.stderr.String(), want) {
			t.Errorf("nothing is said of %s:\n%s", want, c.stderr.String())
		}
	}
	c = start(t, nil, "--gossip", "10.0.0.1:7946", "--join", "x", "--admin", "0.0.0.0:9", "--fall", "0", "--browser-cookie-same-site", "None")
	if got := c.wait(t); got != cli.ExitUsage {
		t.Errorf("status %d", got)
	}
	for _, want := range []string{"--join", "--fall", "--browser-cookie-same-site", "HALLEY_CLUSTER_KEY", "HALLEY_ADMIN_TOKEN"} {
		if !strings.Contains(c.stderr.String(), want) {
			t.Errorf("nothing is said of %s:\n%s", want, c.stderr.String())
		}
	}
	c = start(t, nil, "--listen", "127.0.0.1:0", "--join", "127.0.0.1:1")
	if got := c.wait(t); got != cli.ExitUsage || !strings.Contains(c.stderr.String(), "--comets") && !strings.Contains(c.stderr.String(), "comets:") ||
		!strings.Contains(c.stderr.String(), "no meaning without gossip") {
		t.Errorf("no comets: status %d\n%s", got, c.stderr.String())
	}
}

func TestTakenPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, args := range [][]string{
		{"--listen", taken.Addr().String(), "--comets", "http://127.0.0.1:1"},
		{"--listen", "127.0.0.1:0", "--admin", taken.Addr().String(), "--comets", "http://127.0.0.1:1"},
		{"--listen", "127.0.0.1:0", "--gossip", taken.Addr().String()},
		{"demo", "--listen", taken.Addr().String()},
	} {
		c := start(t, nil, args...)
		if got := c.wait(t); got != cli.ExitFailed || !strings.Contains(c.stderr.String(), "address already in use") {
			t.Errorf("%q: status %d\n%s", args, got, c.stderr.String())
		}
	}
}

func TestDemo(t *testing.T) {
	c := start(t, map[string]string{"HALLEY_LISTEN": "127.0.0.1:0", "HALLEY_COMETS": "http://elsewhere"}, "demo", "--comets", "2")
	await(t, "it says where it listens", func() bool {
		return strings.Contains(c.stdout.String(), "One balancer and 2 comets listen on http://127.0.0.1:")
	})
	if got := c.end(t); got != cli.ExitDone {
		t.Errorf("it ends with %d: %s", got, c.stderr.String())
	}
	c = start(t, nil, "demo", "--comets", "0")
	if got := c.wait(t); got != cli.ExitUsage || !strings.Contains(c.stderr.String(), "--comets") {
		t.Errorf("no comets: status %d\n%s", got, c.stderr.String())
	}
}

func awaitPorts(t *testing.T, c *command, file string) cli.Ports {
	t.Helper()
	await(t, "the port file is there", func() bool { _, err := os.Stat(file); return err == nil })
	ports, err := cli.ReadPorts(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, c.stderr.String())
	}
	return ports
}

func status(url string) int {
	resp, err := http.Get(url)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !condition(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}
