package balancer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// Each request makes one line when it is finished, a WebSocket at its end; by whatever
// way it went.
func TestAccessLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.log")
	cfg := quick()
	cfg.AccessLog = file
	s := newServer(time.Minute, "s")
	a := newFakeComet(t, "a", s.ServeHTTP)
	b := listing(t, cfg, a)
	b.post(handshake, "User-Agent: tester", "Referer: http://page.example/\"x\"")
	b.post(publish("1", "s"))
	b.post(connect("2", "nobody"))
	b.get("/page?q=%0d&r=" + strings.Repeat("x", 3000))
	b.do("TRACE", "/", "")
	conn := b.dial("/cometd")
	if err := echoes(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	b.until("the tunnel has ended", func() bool { return b.tunnels.Len() == 0 })
	b.stop()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	type line struct {
		Time                                             time.Time
		Client, Kind, Method, Path, Proto, Host, By, End string
		Comet, Reason, Agent, Referer                    string
		Status                                           int
		In, Out                                          int
		Seconds, Waited                                  float64
		Unknown                                          bool `json:"unknown_session"`
	}
	var lines []line
	for one := range strings.Lines(string(text)) {
		var l line
		if err := json.Unmarshal([]byte(one), &l); err != nil {
			t.Fatalf("%v: %s", err, one)
		}
		if l.Client != "127.0.0.1" || time.Since(l.Time) > time.Minute || l.Proto != "HTTP/1.1" || l.Seconds < l.Waited {
			t.Errorf("%s", one)
		}
		lines = append(lines, l)
	}
	if len(lines) != 6 {
		t.Fatalf("%d lines:\n%s", len(lines), text)
	}
	name := "http://" + a.addr
	for i, want := range []line{
		{Kind: "message", Method: "POST", Path: "/cometd", By: "comet", Comet: name, Reason: "placed_load", Status: 200, Agent: "tester", Referer: "http://page.example/\"x\""},
		{Kind: "message", Method: "POST", Path: "/cometd", By: "comet", Comet: name, Reason: "ip", Status: 200},
		{Kind: "poll", Method: "POST", Path: "/cometd", By: "comet", Comet: name, Reason: "ip", Status: 200, Unknown: true},
		{Kind: "page", Method: "GET", By: "comet", Comet: name, Reason: "page_ip", Status: 400},
		{Kind: "page", Method: "TRACE", Path: "/", By: "refused", Reason: "method", Status: 405},
		{Kind: "tunnel", Method: "GET", Path: "/cometd", By: "comet", Comet: name, Reason: "placed_ip", Status: 101, End: "none"},
	} {
		got := lines[i]
		if want.Path == "" && (len(got.Path) != maxLogged+len("…") || !strings.HasPrefix(got.Path, "/page?q=%0d&r=xxx")) {
			t.Errorf("line %d: path of %d: %.40s", i, len(got.Path), got.Path)
		} else if want.Path != "" && got.Path != want.Path {
			t.Errorf("line %d: path %s", i, got.Path)
		}
		if got.Kind != want.Kind || got.Method != want.Method || got.By != want.By || got.Comet != want.Comet || got.Reason != want.Reason ||
			got.Status != want.Status || got.Unknown != want.Unknown || got.End != want.End || got.Referer != want.Referer || want.Agent != "" && got.Agent != want.Agent {
			t.Errorf("line %d: %+v, want %+v", i, got, want)
		}
		if want.By == "comet" && (got.Waited == 0 || got.Out == 0) || want.Method == "POST" && got.In == 0 || want.Kind == "tunnel" && got.In < len("hello") {
			t.Errorf("line %d: %+v", i, got)
		}
	}
}

func testRecord() (*record, described) {
	now := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	return &record{
			began: now.Add(-time.Second), ended: now, waited: 250 * time.Millisecond, comet: &comet{name: "a"},
			reason: ReasonCookie, kind: recordPage, status: 200, in: 1, out: 2,
		}, &lasting{facts{
			client: netip.MustParseAddr("10.0.0.7"), method: []byte("GET"), target: []byte("/a\"\n\xff\x7f"), proto: []byte("HTTP/1.1"),
			host: []byte("h"), agent: []byte(`\a`), tls: 0x304,
		}}
}

func TestAccessLines(t *testing.T) {
	r, of := testRecord()
	var f facts
	of.describe(&f)
	for want, got := range map[string]string{
		`{"time":"2026-11-22T20:00:00.000Z","client":"10.0.0.7","kind":"page","method":"GET","path":"/a\"\u000a` + "\ufffd" + `\u007f","proto":"HTTP/1.1","host":"h","status":200,"in":1,"out":2,"seconds":1.000000,"waited":0.250000,"by":"comet","comet":"a","reason":"cookie","agent":"\\a","tls":"TLS 1.3"}` + "\n": string(appendLineJSON(nil, r, &f)),
		`10.0.0.7 - - [22/Nov/2026:20:00:00 +0000] "GET /a\"\x0a\xff\x7f HTTP/1.1" 200 2 "-" "\\a"` + "\n": string(appendCombined(nil, r, &f)),
	} {
		if got != want {
			t.Errorf("got  %swant %s", got, want)
		}
	}
}

// An access log that cannot be opened is told before anything listens, and before a
// predecessor gives its sockets away.
func TestNewOpensTheAccessLog(t *testing.T) {
	cfg := quick()
	cfg.Comets = []string{"http://127.0.0.1:1"}
	cfg.AccessLog = t.TempDir() // no file
	if _, err := New(cfg, nil); err == nil || !strings.Contains(err.Error(), "access-log: open "+cfg.AccessLog) {
		t.Errorf("New with a folder as its access log: %v", err)
	}
}

// A file that was moved away is opened anew; a disk that is full costs lines, which are
// counted, and nothing else.
func TestAccessLogAndItsFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "access.log")
	run := func(path string) (*accessLog, func()) {
		cfg := quick()
		cfg.AccessLog = path
		l, err := newAccessLog(&cfg, zap.NewNop(), newAccessMetrics())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { l.run(ctx); close(done) }()
		return l, func() { cancel(); <-done }
	}
	has := func(file string) int {
		text, _ := os.ReadFile(file)
		return strings.Count(string(text), "\n")
	}
	l, end := run(file)
	l.note(testRecord())
	until(t, "the first line", func() bool { return has(file) == 1 })
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	until(t, "the file is there again", func() bool { _, err := os.Stat(file); return err == nil })
	l.note(testRecord())
	end()
	if has(file) != 1 || has(file+".1") != 1 || count(t, l.metrics.written) != 2 {
		t.Errorf("%d and %d lines, %v written", has(file+".1"), has(file), count(t, l.metrics.written))
	}

	if _, err := os.Stat("/dev/full"); err == nil {
		l, end := run("/dev/full")
		l.note(testRecord())
		until(t, "the failure is counted", func() bool { return count(t, l.metrics.failed) == 1 })
		end()
	}

	// Nobody writes: the queue is bounded.
	l = &accessLog{metrics: newAccessMetrics(), lines: make(chan *logLine, maxLines)}
	for range maxLines + 5 {
		l.note(testRecord())
	}
	if n := count(t, l.metrics.full); n != 5 {
		t.Errorf("%v dropped", n)
	}
	cfg := quick()
	cfg.AccessLog = dir
	if _, err := newAccessLog(&cfg, zap.NewNop(), newAccessMetrics()); err == nil || !strings.HasPrefix(err.Error(), "access-log: ") {
		t.Errorf("a directory: %v", err)
	}
}

func BenchmarkFinishWithAccessLog(bench *testing.B) {
	for _, format := range []AccessLogFormat{AccessLogJSON, AccessLogCombined} {
		bench.Run(string(format), func(bench *testing.B) {
			cfg := DefaultConfig()
			cfg.AccessLog, cfg.AccessLogFormat = os.DevNull, format
			b := &Balancer{metrics: newMetrics(), access: newAccessMetrics()}
			l, err := newAccessLog(&cfg, zap.NewNop(), b.access)
			if err != nil {
				bench.Fatal(err)
			}
			ctx, cancel := context.WithCancel(bench.Context())
			done := make(chan struct{})
			go func() { l.run(ctx); close(done) }()
			b.accessLog = l
			c := &comet{counts: b.metrics.of("a")}
			_, of := testRecord()
			bench.ReportAllocs()
			for bench.Loop() {
				r := record{began: time.Now(), comet: c, reason: ReasonClientID, kind: recordMessage, status: 200}
				b.finish(&r, of)
			}
			cancel()
			<-done
		})
	}
}

// When the log ends, the lines that wait are written; what is larger than the buffer
// counts at once; and after a failure it goes on.
func TestAccessLogWritesAll(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	read := make(chan struct{})
	go func() { defer close(read); _, _ = io.Copy(&got, r) }()
	l := &accessLog{path: "pipe", log: zap.NewNop(), metrics: newAccessMetrics(), lines: make(chan *logLine, maxLines), file: w}
	l.out = bufio.NewWriterSize(w, lineBuffer)
	line := func(n int) *logLine { return &logLine{text: append(bytes.Repeat([]byte("x"), n-1), '\n')} }
	l.write(line(2 * lineBuffer))
	if n := count(t, l.metrics.written); n != 1 {
		t.Errorf("%v written", n)
	}
	w.SetWriteDeadline(time.Unix(1, 0))
	l.write(line(10))
	l.flush()
	if n := count(t, l.metrics.failed); n != 1 || !l.failing {
		t.Errorf("%v failed", n)
	}
	w.SetWriteDeadline(time.Time{})
	l.write(line(10))
	l.flush()
	if n := count(t, l.metrics.written); n != 2 || l.failing {
		t.Errorf("%v written, failing %v", n, l.failing)
	}
	for range 100 {
		l.lines <- line(10)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.run(ctx)
	<-read
	if n := strings.Count(got.String(), "\n"); n != 102 || count(t, l.metrics.written) != 102 {
		t.Errorf("%d lines, %v written", n, count(t, l.metrics.written))
	}
}
