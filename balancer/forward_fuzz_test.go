package balancer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// FuzzForward sends bytes to a balancer. Whatever of them comes to the comet as a request was written by
// the balancer as a request, and net/http and fasthttp see the same in it.
func FuzzForward(f *testing.F) {
	for _, tc := range hostiles {
		if len(tc.sent) < 2000 {
			f.Add([]byte(strings.NewReplacer("{P}", "/cometd", "{B}", "").Replace(tc.sent) + behind))
			f.Add([]byte(strings.NewReplacer("{P}", "/page", "{B}", "").Replace(tc.sent) + behind))
		}
	}
	f.Add([]byte("POST /cometd HTTP/1.1\r\nHost: h\r\nContent-Length: 76\r\n\r\n" + connect("1", "abc")))
	comet := newTap(f)
	addr := fuzzed(f, comet)
	f.Fuzz(func(t *testing.T, raw []byte) {
		conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 9, 8, 7)}}).Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		conn.Write(raw) // may fail when a refusal has closed the connection
		conn.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, conn); err != nil && isTimeout(err) {
			t.Fatalf("the connection does not end: %q", raw)
		}
		for _, r := range comet.take() {
			// Half a request is half of what the client sent, and ends its connection.
			if !strings.HasPrefix(r, broken) {
				looksWritten(t, raw, r)
			}
		}
	})
}

// oneOfUs is what the balancer writes of the client, once in each request.
var oneOfUs = regexp.MustCompile(`\r\nX-Forwarded-For: [^\r\n]*127\.9\.8\.7\r\nX-Forwarded-Proto: http\r\n`)

// looksWritten looks at one request as the comet got it.
func looksWritten(t *testing.T, raw []byte, request string) {
	t.Helper()
	head, _, _ := strings.Cut(request, "\r\n\r\n")
	if len(oneOfUs.FindAllString(head+"\r\n", -1)) != 1 {
		t.Errorf("not written by the balancer: %q\nof %q", request, raw)
	}
	if odd := oddLines([]byte(head[strings.Index(head, "\r\n")+2:] + "\r\n\r\n")); odd != "" {
		t.Errorf("%q: %s\nof %q", request, odd, raw)
	}
	// The comet read it by net/http, to its end.
	std, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
	if err != nil {
		t.Fatalf("%q: %v\nof %q", request, err, raw)
	}
	body, err := io.ReadAll(std.Body)
	if err != nil {
		t.Fatalf("%q: %v\nof %q", request, err, raw)
	}
	var fast fasthttp.Request
	in := bufio.NewReaderSize(strings.NewReader(request), 64<<10)
	if err := fast.Read(in); err != nil {
		t.Fatalf("fasthttp: %q: %v\nof %q", request, err, raw)
	}
	if rest, _ := io.ReadAll(in); len(rest) > 0 && len(fast.Body()) > 0 {
		t.Errorf("fasthttp leaves %q of %q\nof %q", rest, request, raw)
	}
	if std.Method != string(fast.Header.Method()) || std.Host != string(fast.Header.Host()) || std.RequestURI != string(fast.Header.RequestURI()) {
		t.Errorf("%s %q %q, or %s %q %q: %q", std.Method, std.RequestURI, std.Host, fast.Header.Method(), fast.Header.RequestURI(), fast.Header.Host(), raw)
	}
	if len(fast.Body()) > 0 && !bytes.Equal(body, fast.Body()) {
		t.Errorf("body %q, or %q: %q", body, fast.Body(), raw)
	}
}

func isTimeout(err error) bool {
	e := net.Error(nil)
	return errors.As(err, &e) && e.Timeout()
}

// fuzzed is a balancer in front of a tap, as a fuzz target has it.
func fuzzed(f *testing.F, comet *tap) (addr string) {
	f.Helper()
	cfg := quick()
	cfg.CheckInterval = time.Hour
	cfg.Comets = []string{"http://" + comet.addr}
	b, err := New(cfg, nil)
	if err != nil {
		f.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() { _ = b.Run(ctx) })
	parts.Go(func() { _ = b.Serve(ctx, ln) })
	f.Cleanup(func() { cancel(); parts.Wait() })
	for !b.Ready() {
		<-time.After(time.Millisecond)
	}
	return ln.Addr().String()
}
