package balancer

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// recorder is a comet that keeps the last request as it came over the wire, and
// answers what it is told to, byte for byte.
type recorder struct {
	addr   string
	got    chan string
	answer atomic.Value // string
	// keeps is whether connections are kept. One that is closed, and was not said to be,
	// may be chosen for the next request just before.
	keeps atomic.Bool
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{addr: ln.Addr().String(), got: make(chan string, 1)}
	r.answer.Store("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go r.serve(conn)
		}
	}()
	return r
}

func (r *recorder) serve(conn net.Conn) {
	defer conn.Close()
	var wire bytes.Buffer
	in := bufio.NewReader(io.TeeReader(conn, &wire))
	for r.serveOne(conn, in, &wire) && r.keeps.Load() {
		wire.Reset()
	}
}

func (r *recorder) serveOne(conn net.Conn, in *bufio.Reader, wire *bytes.Buffer) bool {
	req, err := http.ReadRequest(in)
	if err != nil {
		return false
	}
	body, _ := io.ReadAll(req.Body)
	if bytes.Contains(body, []byte("halleycheck")) {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\n[{}]")
		return false
	}
	select {
	case r.got <- wire.String():
	default:
	}
	io.WriteString(conn, r.answer.Load().(string))
	return true
}

// recording is a balancer in front of a recorder.
func recording(t *testing.T, changes ...func(*Config)) (*running, *recorder) {
	t.Helper()
	r := newRecorder(t)
	cfg := quick()
	for _, change := range changes {
		change(&cfg)
	}
	cfg.CheckInterval = time.Hour
	cfg.Comets = []string{"http://" + r.addr}
	return run(t, cfg, nil), r
}

// raw sends bytes on a new connection and returns all that comes back until the end.
// It says that no more will come, unless the request does: the client of a poll would
// count as gone then.
func (r *running) raw(request string) string {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, request)
	if !strings.Contains(request, "Connection: close") {
		conn.(*net.TCPConn).CloseWrite()
	}
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	got, err := io.ReadAll(conn)
	if err != nil && len(got) == 0 { // a refusal may end in a reset: not all was read
		r.t.Fatal(err)
	}
	return string(got)
}

// What the comet sees of a request: all that was in it, and what the balancer is
// there to add.
func TestRequestOnTheWire(t *testing.T) {
	b, r := recording(t)
	r.keeps.Store(true)
	const forwarded = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: App.Example:81\r\n"
	const host = "Host: App.Example:81\r\n"
	for _, tc := range []struct{ name, sent, want string }{
		{"path and query, byte for byte",
			"GET /a//b/../c%2Fd/%7e;x=1?q=%20+&&=#f HTTP/1.1\r\n" + host + "\r\n",
			"GET /a//b/../c%2Fd/%7e;x=1?q=%20+&&=#f HTTP/1.1\r\n" + host + forwarded + "\r\n"},
		{"headers in their order, no defaults",
			"GET / HTTP/1.1\r\nx-b: 1\r\n" + host + "X-A: a, b \r\nX-b: 2\r\nCookie: a=b;c=\"d\"; a=e\r\n\r\n",
			"GET / HTTP/1.1\r\n" + host + "X-B: 1\r\nX-A: a, b\r\nX-B: 2\r\nCookie: a=b;c=\"d\"; a=e\r\n" + forwarded + "\r\n"},
		{"hop by hop",
			"GET / HTTP/1.1\r\n" + host + "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n" +
				"Proxy-Connection: x\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nX-End: 2\r\n\r\n",
			"GET / HTTP/1.1\r\n" + host + "X-End: 2\r\n" + forwarded + "\r\n"},
		{"who is no proxy is not believed, and not passed on",
			"GET / HTTP/1.1\r\n" + host + "X-Forwarded-For: 1.2.3.4, 5.6.7.8\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n" +
				"X-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /x\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\n\r\n",
			"GET / HTTP/1.1\r\n" + host + forwarded + "\r\n"},
		{"what hides headers of ours hides nothing",
			"GET / HTTP/1.1\r\n" + host + "Connection: X-Forwarded-For, x-forwarded-proto, Host, X-Hop\r\nX-Hop: 1\r\n\r\n",
			"GET / HTTP/1.1\r\n" + host + forwarded + "\r\n"},
		{"a body of known length",
			"PUT /x HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello",
			"PUT /x HTTP/1.1\r\n" + host + forwarded + "Content-Length: 5\r\n\r\nhello"},
		{"a body in chunks",
			"POST /x HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n0\r\n\r\n",
			"POST /x HTTP/1.1\r\n" + host + forwarded + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"an empty body that was said to be empty",
			"POST /x HTTP/1.1\r\n" + host + "Content-Length: 0\r\n\r\n",
			"POST /x HTTP/1.1\r\n" + host + forwarded + "Content-Length: 0\r\n\r\n"},
		{"no body",
			"DELETE /x HTTP/1.1\r\n" + host + "\r\n",
			"DELETE /x HTTP/1.1\r\n" + host + forwarded + "\r\n"},
		{"a body of a GET",
			"GET /x HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\nhi",
			"GET /x HTTP/1.1\r\n" + host + forwarded + "Content-Length: 2\r\n\r\nhi"},
		{"any method",
			"PROPFIND /x HTTP/1.1\r\n" + host + "\r\n",
			"PROPFIND /x HTTP/1.1\r\n" + host + forwarded + "\r\n"},
		{"absolute form",
			"GET http://App.Example:81/p?q HTTP/1.1\r\nHost: other\r\n\r\n",
			"GET /p?q HTTP/1.1\r\n" + host + forwarded + "\r\n"},
		{"the whole server",
			"OPTIONS * HTTP/1.1\r\n" + host + "\r\n",
			"OPTIONS * HTTP/1.1\r\n" + host + forwarded + "\r\n"},
		{"HTTP/1.0",
			"GET /old HTTP/1.0\r\n" + host + "\r\n",
			"GET /old HTTP/1.1\r\n" + host + forwarded + "\r\n"},
		{"a Bayeux body",
			"POST /cometd/x?y HTTP/1.1\r\n" + host + "content-type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[{}]\r\n0\r\n\r\n",
			"POST /cometd/x?y HTTP/1.1\r\n" + host + "Content-Type: application/json\r\n" + forwarded + "Content-Length: 4\r\n\r\n[{}]"},
		{"Expect, which is met here",
			"POST /x HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
			"POST /x HTTP/1.1\r\n" + host + forwarded + "Content-Length: 2\r\n\r\nhi"},
	} {
		answer := b.raw(tc.sent)
		select {
		case got := <-r.got:
			if got != tc.want {
				t.Errorf("%s:\n%q\nwant\n%q", tc.name, got, tc.want)
			}
		default:
			t.Errorf("%s: not passed on: %q", tc.name, answer)
		}
		if !strings.HasSuffix(answer, "ok") {
			t.Errorf("%s: answer %q", tc.name, answer)
		}
	}
}

// What is no request, or is meant to be two, reaches no comet.
func TestRefusedOnTheWire(t *testing.T) {
	b, r := recording(t)
	const host = "Host: h\r\n"
	for name, tc := range map[string]struct{ sent, status string }{
		"CONNECT":              {"CONNECT a:80 HTTP/1.1\r\n" + host + "\r\n", "405"},
		"TRACE":                {"TRACE / HTTP/1.1\r\n" + host + "\r\n", "405"},
		"version":              {"GET / HTTP/1.2\r\n" + host + "\r\n", "505"},
		"HTTP/2 preface":       {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
		"a folded header":      {"GET / HTTP/1.1\r\n" + host + "X-F: a\r\n b\r\n\r\n", "400"},
		"no host":              {"GET / HTTP/1.1\r\n\r\n", "400"},
		"two hosts":            {"GET / HTTP/1.1\r\n" + host + host + "\r\n", "400"},
		"two lengths":          {"POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"},
		"a length and chunks":  {"POST / HTTP/1.1\r\n" + host + "content-length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n" + host + "\r\n", "400"},
		"chunks and a length":  {"POST /cometd HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n4\r\n[{}]\r\n0\r\n\r\n", "400"},
		"signed length":        {"POST / HTTP/1.1\r\n" + host + "Content-Length: +1\r\n\r\na", "400"},
		"unknown coding":       {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "400"},
		"space before colon":   {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400"},
		"expectation":          {"POST / HTTP/1.1\r\n" + host + "Expect: miracles\r\nContent-Length: 1\r\n\r\na", "417"},
		"a head that is long":  {"GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 20_000) + "\r\n\r\n", "431"},
		"an upgrade with body": {"GET /cometd HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\na", "400"},
		"no HTTP":              {"hello\r\n\r\n", "400"},
	} {
		got := b.raw(tc.sent)
		if !strings.HasPrefix(got, "HTTP/1.1 "+tc.status+" ") || strings.Count(got, "HTTP/1.1") != 1 {
			t.Errorf("%s: %q", name, got)
		}
		select {
		case sent := <-r.got:
			t.Errorf("%s: the comet got %q", name, sent)
		default:
		}
	}
}

// What the client sees of an answer: all that was in it, but for what was meant for
// the balancer.
func TestAnswerOnTheWire(t *testing.T) {
	b, r := recording(t)
	for _, tc := range []struct{ name, method, answer, want string }{
		{"headers", "GET",
			"HTTP/1.1 203 Fine So\r\nserver: S\r\nX-A: 1\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: a=2\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok",
			"HTTP/1.1 203 Fine So\r\nServer: S\r\nContent-Length: 2\r\nX-A: 1\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: a=2\r\nConnection: close\r\n\r\nok"},
		{"HEAD", "HEAD",
			"HTTP/1.1 200 OK\r\nContent-Length: 1234567\r\nConnection: close\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 1234567\r\nConnection: close\r\n\r\n"},
		{"204", "GET",
			"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n",
			"HTTP/1.1 204 No Content\r\nX: 1\r\nConnection: close\r\n\r\n"},
		{"304", "GET",
			"HTTP/1.1 304 Not Modified\r\nEtag: \"x\"\r\nContent-Length: 99\r\n\r\n",
			"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nEtag: \"x\"\r\nConnection: close\r\n\r\n"},
		{"chunks, with a trailer", "GET",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Sum: 7\r\n\r\n",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nConnection: close\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Sum: 7\r\n\r\n"},
		{"until the end", "GET",
			"HTTP/1.0 200 OK\r\n\r\nabc",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
		{"interim answers", "GET",
			"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
			"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"},
		{"not modified in any way", "GET",
			"HTTP/1.1 302 Found\r\nLocation: /a//b?c\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
			"HTTP/1.1 302 Found\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\nLocation: /a//b?c\r\nConnection: close\r\n\r\n"},
	} {
		r.answer.Store(tc.answer)
		if got := b.raw(tc.method + " /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); got != tc.want {
			t.Errorf("%s:\n%q\nwant\n%q", tc.name, got, tc.want)
		}
		<-r.got
	}
	// A client of HTTP/1.0 knows no chunks.
	r.answer.Store("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")
	if got, want := b.raw("GET /p HTTP/1.0\r\n\r\n"), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcdef"; got != want {
		t.Errorf("HTTP/1.0:\n%q\nwant\n%q", got, want)
	}
	<-r.got
	// An answer that is none, and one that breaks, are not passed on as whole.
	for _, broken := range []string{"nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "HTTP/1.1 101 Switching Protocols\r\n\r\n"} {
		r.answer.Store(broken)
		if got := b.raw("GET /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 502 ") || strings.Contains(got, "<") {
			t.Errorf("%q: %q", broken, got)
		}
		<-r.got
	}
	r.answer.Store("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
	if got := b.raw("GET /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); strings.HasSuffix(got, "0\r\n\r\n") {
		t.Errorf("an answer cut short was passed on as whole: %q", got)
	}
}
