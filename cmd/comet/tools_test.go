package main

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/testenv"
)

func lone(t *testing.T, args ...string) *served {
	t.Helper()
	return serve(t, append([]string{"--name", "lone", "--listen", "127.0.0.1:0"}, args...)...)
}

func TestSubAndPub(t *testing.T) {
	for _, transport := range []string{"auto", "websocket", "long-polling"} {
		t.Run(transport, func(t *testing.T) {
			server := lone(t, "--admin", "127.0.0.1:0")
			sub := start(t, nil, nil, "sub", "--transport", transport, server.URL, "/a/*", "/b")
			server.subscribed("/a/*")
			for _, p := range []struct{ channel, data, stdin string }{
				{"/a/1", ` { "x" : [ 1, "<é>" ] } `, ""},
				{"/b", "-", "\"from\\nstdin\"\n"},
				{"/c", "1", ""},
				{"/a/2", "null", ""},
			} {
				pub := start(t, nil, strings.NewReader(p.stdin), "pub", "--transport="+transport, server.URL, p.channel, p.data)
				if status := pub.wait(); status != 0 {
					t.Fatalf("pub %s: status %d: %s", p.channel, status, pub.stderr)
				}
			}
			sub.says(sub.stdout, "/a/2")
			if status := sub.stop(); status != 0 {
				t.Errorf("status %d: %s", status, sub.stderr)
			}
			want := "/a/1 {\"x\":[1,\"<é>\"]}\n/b \"from\\nstdin\"\n/a/2 null\n"
			if got := sub.stdout.String(); got != want {
				t.Errorf("printed\n%swant\n%s", got, want)
			}
		})
	}
}

func TestSubFollowsARestartedServer(t *testing.T) {
	for _, transport := range []string{"websocket", "long-polling"} {
		t.Run(transport, func(t *testing.T) {
			first := lone(t, "--admin", "127.0.0.1:0")
			sub := start(t, nil, nil, "sub", "--transport", transport, first.URL, "/a")
			first.subscribed("/a")
			if said := sub.stderr.String(); said != "" {
				t.Errorf("says %q while all is well", said)
			}
			if status := first.stop(); status != 0 {
				t.Fatalf("status %d: %s", status, first.stderr)
			}
			sub.says(sub.stderr, "; trying again\n")
			second := lone(t, "--listen", first.Listen, "--admin", "127.0.0.1:0")
			second.subscribed("/a")
			if pub := finish(t, "pub", second.URL, "/a", "1"); pub.status != 0 {
				t.Fatal(pub.stderr)
			}
			sub.says(sub.stdout, "/a 1\n")
			if said := sub.stderr.String(); strings.Count(said, "\n") != 1 {
				t.Errorf("says of one loss: %s", said)
			}
		})
	}
}

func TestToolsFailBound(t *testing.T) {
	server := lone(t)
	closed := "http://" + unusedAddr(t) + "/cometd"
	for _, c := range []struct {
		name   string
		args   []string
		status int
		says   []string
	}{
		{"pub: refused", []string{"pub", server.URL, "/meta/x", "1"}, 1, []string{"/meta/x", "403:"}},
		{"pub: a pattern", []string{"pub", server.URL, "/a/*", "1"}, 1, []string{"/a/*"}},
		{"pub: no JSON", []string{"pub", server.URL, "/a", "hello"}, 2, []string{"JSON", "quotes"}},
		{"pub: two values", []string{"pub", server.URL, "/a", "1 2"}, 2, []string{"JSON"}},
		{"pub: nobody there", []string{"pub", "--timeout", "200ms", closed, "/a", "1"}, 1, []string{"refused; trying again\n", "comet: not within 200ms", "refused"}},
		{"pub: no server of ours", []string{"pub", "--timeout", "200ms", server.URL + "x", "/a", "1"}, 1, []string{"404"}},
		{"pub: too few", []string{"pub", server.URL, "/a"}, 2, []string{"URL CHANNEL JSON"}},
		{"pub: URL", []string{"pub", "nowhere", "/a", "1"}, 2, []string{"URL", "nowhere"}},
		{"pub: no scheme", []string{"pub", "127.0.0.1:8080/cometd", "/a", "1"}, 2, []string{`comet pub: "127.0.0.1:8080/cometd" is no URL like http://host:port/cometd`, "See comet pub --help."}},
		{"pub: transport", []string{"pub", "--transport", "pigeon", server.URL, "/a", "1"}, 2, []string{"--transport", "pigeon"}},
		{"pub: timeout", []string{"pub", "--timeout", "0", server.URL, "/a", "1"}, 2, []string{"--timeout"}},
		{"sub: refused", []string{"sub", server.URL, "/meta/x"}, 1, []string{"/meta/subscribe", "403:"}},
		{"sub: nobody there", []string{"sub", "--timeout", "200ms", closed, "/a"}, 1, []string{"refused; trying again\n", "not within 200ms", "refused"}},
		{"sub: no channel", []string{"sub", server.URL}, 2, []string{"URL CHANNEL..."}},
		{"sub: URL", []string{"sub", "ftp://x/", "/a"}, 2, []string{`"ftp://x/" is no URL like http://host:port/cometd`}},
		{"health: no scheme", []string{"health", "localhost:8080/cometd"}, 2, []string{`"localhost:8080/cometd" is no URL like http://host:port/cometd`}},
		{"health: nobody there", []string{"health", closed}, 1, []string{"refused"}},
		{"health: no server of ours", []string{"health", server.URL + "x"}, 1, []string{"404"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			begun := time.Now()
			got := finish(t, c.args...)
			if got.status != c.status {
				t.Errorf("status %d, want %d: %s", got.status, c.status, got.stderr)
			}
			for _, text := range c.says {
				if !strings.Contains(got.stderr.String(), text) {
					t.Errorf("no word of %q: %s", text, got.stderr)
				}
			}
			if got.stdout.String() != "" {
				t.Errorf("printed %q", got.stdout)
			}
			if d := time.Since(begun); d > testenv.Bound(2*time.Second) {
				t.Errorf("took %v", d)
			}
		})
	}
}

func TestHealth(t *testing.T) {
	server := lone(t, "--admin", "127.0.0.1:0")
	got := finish(t, "health", server.URL)
	if got.status != 0 || got.stdout.String()+got.stderr.String() != "" {
		t.Errorf("status %d, said %q %q", got.status, got.stdout, got.stderr)
	}
	if n := server.metric("halley_comet_sessions"); n != "0" {
		t.Errorf("%s sessions are left", n)
	}
}

func TestHealthOfAServerThatHangsBound(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() // it takes connections, and never answers
	begun := time.Now()
	got := finish(t, "health", "http://"+ln.Addr().String()+"/cometd")
	if d := time.Since(begun); got.status != 1 || d > testenv.Bound(healthTimeout+500*time.Millisecond) {
		t.Errorf("status %d after %v: %s", got.status, d, got.stderr)
	}
}

func unusedAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
