package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/testenv"
)

var patience = testenv.Bound(10 * time.Second)

// running is a demo whose greeting was read.
type running struct {
	t    *testing.T
	base string
	end  func() error
}

func start(t *testing.T, comets int) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	said, out := io.Pipe()
	cfg := DefaultConfig()
	cfg.Listen, cfg.Comets, cfg.Out = "127.0.0.1:0", comets, out
	ended := make(chan error, 1)
	go func() {
		err := Run(ctx, cfg)
		out.CloseWithError(io.EOF)
		ended <- err
	}()
	r := &running{t: t, end: func() error {
		cancel()
		err := <-ended
		ended <- err
		return err
	}}
	t.Cleanup(func() { r.end() })
	lines := bufio.NewScanner(said)
	if !lines.Scan() {
		t.Fatalf("the demo ended: %v", r.end())
	}
	_, base, ok := strings.Cut(lines.Text(), "listen on ")
	if !ok {
		t.Fatalf("the first line is %q", lines.Text())
	}
	go io.Copy(io.Discard, said)
	r.base = base
	return r
}

func (r *running) ask(method, path string, header http.Header) (int, http.Header, string) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.base+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header = header
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

// until waits until the comets are as wanted.
func (r *running) until(what string, wanted func([]cometStatus) bool) []cometStatus {
	r.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		_, _, body := r.ask(http.MethodGet, "/demo/comets", nil)
		var comets []cometStatus
		if err := json.Unmarshal([]byte(body), &comets); err != nil {
			r.t.Fatalf("%s: %v", body, err)
		}
		if wanted(comets) {
			return comets
		}
		select {
		case <-tick.C:
		case <-deadline:
			r.t.Fatalf("never %s: %s", what, body)
		}
	}
}

func healthy(n int) func([]cometStatus) bool {
	return func(comets []cometStatus) bool {
		found := 0
		for _, c := range comets {
			if c.State == "healthy" {
				found++
			}
		}
		return found == n
	}
}

func TestStopAndStart(t *testing.T) {
	r := start(t, 3)
	before := r.until("three are healthy", healthy(3))
	if status, _, body := r.ask(http.MethodPost, "/demo/comets/comet-2/stop", nil); status != http.StatusNoContent {
		t.Fatalf("stop: %d %s", status, body)
	}
	down := r.until("two are healthy", healthy(2))
	if c := down[1]; c.Running || c.State != "down" || c.Tag != "" {
		t.Errorf("the stopped comet is %+v", c)
	}
	if status, _, _ := r.ask(http.MethodPost, "/demo/comets/comet-2/stop", nil); status != http.StatusConflict {
		t.Errorf("stop of a stopped comet: %d", status)
	}
	if status, _, body := r.ask(http.MethodPost, "/demo/comets/comet-2/start", nil); status != http.StatusNoContent {
		t.Fatalf("start: %d %s", status, body)
	}
	after := r.until("three are healthy again", healthy(3))
	if after[1].Tag == before[1].Tag || after[1].URL == before[1].URL {
		t.Errorf("it came back as the same incarnation: %+v", after[1])
	}
}

// What the gossip hears of a stopped comet is nothing: it finds out by itself.
func TestStopSaysGoodbyeToNobody(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	cfg := DefaultConfig()
	cfg.Comets, cfg.Log = 2, zap.NewNop()
	d, err := build(cfg, listener)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx) }()
	defer func() {
		cancel()
		<-ended
	}()
	state := func(v *cluster.View, tag string) cluster.State {
		for _, n := range v.Nodes {
			if n.Tag == tag {
				return n.State
			}
		}
		return 0
	}
	tag := ""
	deadline := time.After(patience)
	for views := d.members.Watch(ctx); ; {
		select {
		case v := <-views:
			if tag == "" {
				if l := d.nodes[0].current(); l != nil && state(v, string(l.tag)) == cluster.Up {
					tag = string(l.tag)
					go d.nodes[0].stop()
				}
				continue
			}
			switch got := state(v, tag); got {
			case cluster.Up:
			case cluster.Failed:
				return
			default:
				t.Fatalf("the stopped comet is said to be %v", got)
			}
		case <-deadline:
			t.Fatal("nobody ever found out")
		}
	}
}

func TestMoveNamesAnotherHealthyComet(t *testing.T) {
	r := start(t, 2)
	r.until("two are healthy", healthy(2))
	status, header, body := r.ask(http.MethodPost, "/demo/move?from=comet-1", nil)
	cookie := header.Get("Set-Cookie")
	if status != http.StatusNoContent || !strings.HasPrefix(cookie, "BAYEUX_BROWSER=") {
		t.Fatalf("%d %s, cookie %q", status, body, cookie)
	}
	value, _, _ := strings.Cut(strings.TrimPrefix(cookie, "BAYEUX_BROWSER="), ";")
	if got := r.pinned(value); got != "comet-2" {
		t.Errorf("the cookie leads to %s", got)
	}
	r.ask(http.MethodPost, "/demo/comets/comet-2/stop", nil)
	r.until("one is healthy", healthy(1))
	if status, _, _ := r.ask(http.MethodPost, "/demo/move?from=comet-1", nil); status != http.StatusConflict {
		t.Errorf("a move to nobody: %d", status)
	}
}

// pinned handshakes with a cookie and returns the comet that it led to.
func (r *running) pinned(cookie string) string {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.base+Path, strings.NewReader(`[{"channel":"/meta/handshake","version":"1.0","id":"1"}]`))
	if err != nil {
		r.t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: "BAYEUX_BROWSER", Value: cookie})
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	var replies []struct{ ClientID string }
	if err := json.NewDecoder(resp.Body).Decode(&replies); err != nil || len(replies) != 1 {
		r.t.Fatalf("%v %v", replies, err)
	}
	for _, c := range r.until("known", func([]cometStatus) bool { return true }) {
		if c.Tag != "" && strings.HasPrefix(replies[0].ClientID, c.Tag) {
			return c.Name
		}
	}
	return "nobody"
}

func TestWhoMayCommand(t *testing.T) {
	r := start(t, 1)
	port := r.base[strings.LastIndexByte(r.base, ':')+1:]
	for origin, want := range map[string]int{
		"http://localhost:" + port: http.StatusConflict, // it may; there is nowhere to move to
		"http://127.0.0.1:" + port: http.StatusConflict,
		"http://evil.example":      http.StatusForbidden,
		"http://localhost:1":       http.StatusForbidden,
		"null":                     http.StatusForbidden,
	} {
		status, header, _ := r.ask(http.MethodPost, "/demo/move?from=comet-1", http.Header{"Origin": {origin}})
		if status != want {
			t.Errorf("origin %s: %d, want %d", origin, status, want)
		}
		if allowed := header.Get("Access-Control-Allow-Origin") == origin; allowed != (want != http.StatusForbidden) {
			t.Errorf("origin %s: Access-Control-Allow-Origin %q", origin, header.Get("Access-Control-Allow-Origin"))
		}
	}
	for path, want := range map[string]int{"/demo/comets/none/stop": 404, "/demo/comets/comet-1/kick": 404, "/demo/x": 404} {
		if status, _, _ := r.ask(http.MethodPost, path, nil); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	status, header, body := r.ask(http.MethodGet, "/", nil)
	if status != http.StatusOK || !strings.Contains(body, "<title>") || !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'self'") {
		t.Errorf("the page: %d, %v", status, header)
	}
}

func TestEndsWithNothingLeft(t *testing.T) {
	// fasthttp's worker pool sleeps for up to 10 s before it sees that it was stopped.
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
	r := start(t, 2)
	r.until("two are healthy", healthy(2))
	if err := r.end(); err != nil {
		t.Error(err)
	}
}

func TestMistakesInTheConfiguration(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Listen, cfg.Comets = "8080", 33
	err := cfg.Validate()
	for _, want := range []string{"listen: ", "comets: 33"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v says nothing of %q", err, want)
		}
	}
}

func TestTakenPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := DefaultConfig()
	cfg.Listen = taken.Addr().String()
	if err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "listen: ") || !strings.Contains(err.Error(), cfg.Listen) {
		t.Errorf("a taken port: %v", err)
	}
}
