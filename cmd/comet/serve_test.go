package main

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/halleycomet/halley/internal/cli"
	"github.com/halleycomet/halley/internal/sticky"
)

// member is a comet of a cloud on loopback.
func member(t *testing.T, name string, args ...string) *served {
	t.Helper()
	return serve(t, append([]string{"--name", name, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--gossip", "127.0.0.1:0"}, args...)...)
}

// Two comets find each other by gossip, a message crosses, and SIGTERM of one is
// known to the other before the one has ended.
func TestCloud(t *testing.T) {
	// fasthttp's worker pool sleeps for up to 10 s before it sees that it was stopped.
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
	defer admins.CloseIdleConnections()
	a := member(t, "a")
	b := member(t, "b", "--join", a.Gossip)
	if a.Tag == b.Tag || !sticky.Tag(a.Tag).Valid() {
		t.Errorf("tags %q, %q", a.Tag, b.Tag)
	}
	for _, m := range []*served{a, b} {
		m.until("it is ready", func() bool {
			status, _ := m.get("/readyz")
			return status == http.StatusOK
		})
		m.until("the links stand", func() bool { return m.metric(`halley_oort_links{state="joined"}`) == "1" })
		if got := m.metric(`halley_cluster_nodes{state="up"}`); got != "2" {
			t.Errorf("%s knows %q nodes", m.URL, got)
		}
	}
	sub := start(t, nil, nil, "sub", a.URL, "/chat/*")
	a.subscribed("/chat/*")
	if pub := finish(t, "pub", b.URL, "/chat/x", `{"text":"hello"}`); pub.status != 0 {
		t.Fatal(pub.stderr)
	}
	sub.says(sub.stdout, "/chat/x {\"text\":\"hello\"}\n")
	sub.stop()

	if status := b.stop(); status != 0 {
		t.Errorf("status %d: %s", status, b.stderr)
	}
	a.until("the goodbye to the gossip is heard", func() bool { return a.metric(`halley_cluster_nodes{state="left"}`) == "1" })
	if got := a.metric(`halley_cluster_nodes{state="failed"}`); got != "0" {
		t.Errorf("%s nodes failed", got)
	}
	a.until("the goodbye on the link is heard", func() bool { return a.metric("halley_oort_peers") == "0" })
	if status := a.stop(); status != 0 {
		t.Errorf("status %d: %s", status, a.stderr)
	}
}

func TestServeAlone(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "ports")
	m := lone(t, "--admin", "127.0.0.1:0", "--port-file", file, "--path", "/other")
	if m.Cloud || m.Gossip != "" || m.URL != "http://"+m.Listen+"/other" {
		t.Errorf("%+v", m)
	}
	ports, err := cli.ReadPorts(file)
	if want := (cli.Ports{Listen: m.Listen, Admin: m.Admin}); err != nil || ports != want {
		t.Errorf("port file: %+v %v", ports, err)
	}
	if got := finish(t, "health", m.URL); got.status != 0 {
		t.Error(got.stderr)
	}
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/healthz": {200, "ok\n"},
		"/readyz":  {200, "ready\n"},
		"/metrics": {200, "go_goroutines"},
		"/":        {404, ""},
	} {
		if status, body := m.get(path); status != want.status || !strings.Contains(body, want.body) {
			t.Errorf("%s: %d %.100s", path, status, body)
		}
	}
	if status := m.stop(); status != 0 {
		t.Errorf("status %d: %s", status, m.stderr)
	}
	for _, addr := range []string{m.Listen, m.Admin} {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			t.Errorf("%s still listens", addr)
		}
	}
}

func TestTakenAddress(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().String()
	for _, setting := range []string{"listen", "admin", "gossip"} {
		t.Run(setting, func(t *testing.T) {
			args := []string{"--name", "a", "--listen", "127.0.0.1:0", "--" + setting, taken}
			got := finish(t, args...)
			for _, text := range []string{setting + ": ", taken, "in use"} {
				if last := got.stderr.String(); got.status != 1 || !strings.Contains(last[strings.LastIndex(strings.TrimSpace(last), "\n")+1:], text) {
					t.Errorf("status %d, no word of %q: %s", got.status, text, last)
				}
			}
		})
	}
}

func TestPortFileThatCannotBeWritten(t *testing.T) {
	got := finish(t, "--name", "a", "--listen", "127.0.0.1:0", "--gossip", "127.0.0.1:0", "--port-file", filepath.Join(t.TempDir(), "no", "file"))
	if got.status != 2 || !strings.Contains(got.stderr.String(), "port-file: ") {
		t.Errorf("status %d: %s", got.status, got.stderr)
	}
}

func TestExampleFileChecks(t *testing.T) {
	example := finish(t, "config", "--example")
	if example.status != 0 {
		t.Fatal(example.stderr)
	}
	file := filepath.Join(t.TempDir(), "comet.yaml")
	if err := os.WriteFile(file, []byte(example.stdout.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := finish(t, "config", "--check", file); got.status != 0 {
		t.Error(got.stderr)
	}
	for _, name := range []string{"listen", "gossip-advertise", "oort-channels", "browser-cookie-partitioned", "HALLEY_OORT_SECRET"} {
		if !strings.Contains(example.stdout.String(), "#"+name+":") && !strings.Contains(example.stdout.String(), name) {
			t.Errorf("no %s in the example", name)
		}
	}
}
