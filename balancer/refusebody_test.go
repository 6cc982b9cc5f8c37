package balancer

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A body that cannot be taken is refused for what is wrong with it; one that is too long
// by its own account at the head. What is logged is what was sent and read.
func TestRefusedBodies(t *testing.T) {
	for _, format := range []AccessLogFormat{AccessLogJSON, AccessLogCombined} {
		t.Run(string(format), func(t *testing.T) { testRefusedBodies(t, format) })
	}
}

func testRefusedBodies(t *testing.T, format AccessLogFormat) {
	const (
		head      = "POST /cometd HTTP/1.1\r\nHost: h\r\n"
		chunks    = head + "Transfer-Encoding: chunked\r\n\r\n"
		page      = "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		large     = "the messages are more than max-body allows\n"
		malformed = "the body of the request is malformed\n"
		absent    = "the body of the request did not come\n"
	)
	cfg := quick()
	cfg.Limits.MaxBody = 1000
	cfg.Limits.ReadTimeout = 200 * time.Millisecond
	cfg.AccessLog, cfg.AccessLogFormat = filepath.Join(t.TempDir(), "access.log"), format
	b := listing(t, cfg, newFakeComet(t, "a", ok))
	cases := []struct {
		name, sent, text string
		status, in       int
		kind             string
		hangUp           bool
	}{
		{name: "announced", sent: head + "Content-Length: 1001\r\n\r\n", status: 413, text: large, kind: "message"},
		{name: "announced, in part", sent: head + "Content-Length: 1001\r\n\r\n[", status: 413, text: large, kind: "message"},
		{name: "expected", sent: head + "Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n", status: 413, text: large, kind: "message"},
		{name: "above 16 KiB", sent: head + "Content-Length: 100000\r\n\r\n", status: 413, text: large, kind: "message"},
		{name: "below the path", sent: strings.Replace(head, "/cometd", "/cometd/x", 1) + "Content-Length: 1001\r\n\r\n", status: 413, text: large, kind: "message"},
		{name: "chunks", sent: chunks + "3e9\r\n" + strings.Repeat("x", 1001) + "\r\n0\r\n\r\n", status: 413, text: large, in: 1001, kind: "message"},
		{name: "bare LF", sent: chunks + "4\n[{}]\r\n0\r\n\r\n", status: 400, text: malformed, kind: "message"},
		{name: "bare LF later", sent: chunks + "4\r\n[{}]\r\n0\n\r\n", status: 400, text: malformed, in: 4, kind: "message"},
		{name: "slow", sent: head + "Content-Length: 4\r\nX-Y: 1\r\nExpect: 100-continue\r\n\r\n", status: 408, kind: "page"}, // nothing is known of it
		{name: "slow chunk", sent: chunks + "4\r\n[{", status: 408, text: absent, in: 2, kind: "message"},
		{name: "slow size of a chunk", sent: chunks + "4", status: 408, text: absent, kind: "message"},
		{name: "ended", sent: chunks + "4\r\n[{", status: 400, text: absent, in: 2, kind: "message", hangUp: true},
		{name: "ended size of a chunk", sent: chunks + "4", status: 400, text: absent, kind: "message", hangUp: true},
		{name: "slow upload", sent: page + "4\r\n[{", status: 408, text: absent, in: 2, kind: "page"},
		{name: "ended upload", sent: page + "4\r\n[{", status: 400, text: absent, in: 2, kind: "page", hangUp: true},
		{name: "malformed upload", sent: page + "4\r\n[{}]\r\nx\r\n\r\n", status: 400, text: malformed, in: 4, kind: "page"},
		{name: "a page", sent: "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", status: 405, text: "this method is not served\n", kind: "page"},
	}
	outs := make([]int, len(cases))
	for i, c := range cases {
		conn, err := net.Dial("tcp", b.addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, c.sent)
		if c.hangUp {
			conn.(*net.TCPConn).CloseWrite()
		}
		conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		all, err := io.ReadAll(conn)
		conn.Close()
		got := string(all)
		if c.name == "slow" { // it is not too long, and asked for
			got = strings.TrimPrefix(got, "HTTP/1.1 100 Continue\r\n\r\n")
			if got == string(all) {
				t.Errorf("%s: no 100 in %q", c.name, got)
			}
		}
		head, body, _ := strings.Cut(got, "\r\n\r\n")
		if err != nil || !strings.HasPrefix(head, fmt.Sprintf("HTTP/1.1 %d ", c.status)) || !strings.Contains(head, "Connection: close") || c.text != "" && body != c.text {
			t.Errorf("%s: %q %v", c.name, got, err)
		}
		outs[i] = len(body)
	}
	b.stop()
	text, err := os.ReadFile(cfg.AccessLog)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != len(cases) {
		t.Fatalf("%d lines:\n%s", len(lines), text)
	}
	for i, c := range cases {
		if format == AccessLogCombined {
			if want := fmt.Sprintf(`" %d %d "`, c.status, outs[i]); !strings.Contains(lines[i], want) {
				t.Errorf("%s: %s, want %s", c.name, lines[i], want)
			}
			continue
		}
		var l struct {
			Kind            string
			Status, In, Out int
			Seconds         float64
		}
		if err := json.Unmarshal([]byte(lines[i]), &l); err != nil || l.Kind != c.kind || l.Status != c.status || l.In != c.in || l.Out != outs[i] || l.Seconds > 60 {
			t.Errorf("%s: %v %s", c.name, err, lines[i])
		}
	}
}

// What is outside the Bayeux path has no limit.
func TestPagesOfAnyLength(t *testing.T) {
	cfg := quick()
	cfg.Limits.MaxBody = 1000
	b := listing(t, cfg, newFakeComet(t, "a", ok))
	if got, err := b.do("POST", "/page", strings.Repeat("x", 5000)); err != nil || got.status != 200 {
		t.Errorf("%+v", got)
	}
}
