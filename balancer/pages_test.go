package balancer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/sticky"
	"github.com/halleycomet/halley/internal/testenv"
)

// pattern is an endless body of which nothing is kept.
type pattern struct{ n int64 }

func (p *pattern) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte((p.n + int64(i)) * 31 >> 3)
	}
	p.n += int64(len(b))
	return len(b), nil
}

// Bodies of any size are passed on as they come, both ways, in bounded memory.
func TestBigBodiesStream(t *testing.T) {
	size := int64(64 << 20)
	if testenv.Race {
		size = 16 << 20
	}
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Sum", fmt.Sprintf("%x %d", sum.Sum(nil), n))
		if r.Method == http.MethodGet {
			if r.URL.Query().Get("length") != "" {
				w.Header().Set("Content-Length", fmt.Sprint(size))
			}
			io.CopyN(w, &pattern{}, size)
		}
	})
	b := listing(t, quick(), a)
	want := sha256.New()
	io.CopyN(want, &pattern{}, size)

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, length := range []int64{size, -1} {
		req, _ := http.NewRequest(http.MethodPut, b.url+"/upload", io.LimitReader(&pattern{}, size))
		req.ContentLength = length
		resp, err := testClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("X-Sum"); got != fmt.Sprintf("%x %d", want.Sum(nil), size) {
			t.Errorf("upload of length %d: %s", length, got)
		}
	}
	for _, query := range []string{"", "?length=1"} {
		resp, err := testClient.Get(b.url + "/download" + query)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		n, err := io.Copy(sum, resp.Body)
		resp.Body.Close()
		if err != nil || n != size || !bytes.Equal(sum.Sum(nil), want.Sum(nil)) {
			t.Errorf("download%s: %d bytes, %v", query, n, err)
		}
		if (resp.ContentLength == size) != (query != "") {
			t.Errorf("download%s: length %d", query, resp.ContentLength)
		}
	}
	runtime.ReadMemStats(&after)
	if grew := after.TotalAlloc - before.TotalAlloc; grew > uint64(size/4) {
		t.Errorf("%d MiB were allocated for %d MiB passed on", grew>>20, 4*size>>20)
	}
}

// What a comet writes is passed on when it is written.
func TestAnswersAreNotHeldBack(t *testing.T) {
	next := make(chan struct{})
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			<-next
		}
	})
	b := listing(t, quick(), a)
	resp, err := testClient.Get(b.url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	br := bufio.NewReader(resp.Body)
	for i := range 3 {
		line, err := br.ReadString('\n')
		if err != nil || line != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("%q %v", line, err)
		}
		br.ReadString('\n')
		next <- struct{}{}
	}
}

// A comet that answers before it has the whole request is heard, and what the client
// still sends is not taken for its next request.
func TestEarlyAnswer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				br := bufio.NewReader(conn)
				req, err := http.ReadRequest(br)
				if err != nil {
					return
				}
				if req.ContentLength > 1000 {
					io.CopyN(io.Discard, br, 1000)
					io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
					io.Copy(io.Discard, io.LimitReader(br, 1<<20)) // or the answer would be reset away
					return
				}
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n[{}]")
			}()
		}
	}()
	cfg := quick()
	cfg.CheckInterval = time.Hour
	cfg.Comets = []string{"http://" + ln.Addr().String()}
	b := run(t, cfg, nil)
	smuggled := "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
	body := strings.Repeat("x", 8<<20) + smuggled
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go fmt.Fprintf(conn, "POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	head := make([]byte, 12)
	if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 413" {
		t.Fatalf("%q %v", head, err)
	}
	rest, _ := io.ReadAll(conn)
	if strings.Contains(string(rest), "HTTP/1.1") || !strings.Contains(string(rest), "Connection: close") {
		t.Errorf("%q", rest)
	}
}

// An upload that breaks off is not passed on as a whole, wherever it breaks.
func TestUploadBreaksOff(t *testing.T) {
	type upload struct {
		n   int64
		err error
	}
	uploads := make(chan upload, 1)
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		uploads <- upload{n, err}
	})
	b := listing(t, quick(), a)
	for _, sent := range []string{
		"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
		"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 30000\r\n\r\n" + strings.Repeat("x", 20_000),
	} {
		if got := b.raw(sent); !strings.HasPrefix(got, "HTTP/1.1 400") {
			t.Errorf("%q", got)
		}
		if up := <-uploads; up.err == nil {
			t.Errorf("the comet took %d bytes for a whole", up.n)
		}
	}
	if got := b.raw("POST /cometd HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[{}]\r\n"); !strings.HasPrefix(got, "HTTP/1.1 400") || a.requests() != 3 {
		t.Errorf("Bayeux: %q, %d requests", got, a.requests())
	}
}

// Pages keep to the comet of the session.
func TestPagesAreSticky(t *testing.T) {
	name := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name) }
	}
	a, c := newFakeComet(t, "a", name("a")), newFakeComet(t, "c", name("c"))
	b := listing(t, quick(), a, c)
	for _, own := range []*fakeComet{a, c} {
		for range 5 {
			if got := b.get("/page", "Cookie: BAYEUX_BROWSER="+sticky.NewCookie(b.comet(own).nameTag)); got.body != own.name {
				t.Errorf("by cookie of %s: %s", own.name, got.body)
			}
		}
	}
	first := b.get("/page").body
	for range 5 {
		if got := b.get("/page"); got.body != first {
			t.Errorf("by address: %s, then %s", first, got.body)
		}
	}
	if got := b.get("/page"); got.header.Get("Set-Cookie") != "" {
		t.Errorf("a page sets %q", got.header.Get("Set-Cookie"))
	}
}

// A page whose comet was lost while it had the request: sent again if that is safe.
func TestPageOfLostComet(t *testing.T) {
	var tries atomic.Int32
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) == 1 {
			conn, _ := hijack(w)
			reset(conn)
			return
		}
		io.WriteString(w, "fine")
	})
	b := listing(t, quick(), a)
	if got := b.get("/page"); got.body != "fine" || tries.Load() != 2 {
		t.Errorf("GET: %d %s after %d tries", got.status, got.body, tries.Load())
	}
	tries.Store(0)
	got, err := b.do(http.MethodPost, "/page", "x")
	if err != nil || got.status != http.StatusBadGateway || strings.Contains(got.body, "<") || tries.Load() != 1 {
		t.Errorf("POST: %v %+v after %d tries", err, got, tries.Load())
	}
}

// Slow clients are cut off.
func TestSlowRequestBound(t *testing.T) {
	a := newFakeComet(t, "a", ok)
	cfg := quick()
	cfg.Limits.ReadTimeout = 100 * time.Millisecond
	b := listing(t, cfg, a)
	for name, tc := range map[string]struct{ sent, status string }{
		"head":        {"POST /cometd HTTP/1.1\r\nHo", "408"},
		"Bayeux body": {"POST /cometd HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n[", "408"},
		"page body":   {"POST /page HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 10_000), "408"},
	} {
		conn, err := net.Dial("tcp", b.addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, tc.sent)
		began := time.Now()
		conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		got, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 "+tc.status) || time.Since(began) > testenv.Bound(2*time.Second) {
			t.Errorf("%s: %q %v after %v", name, got, err, time.Since(began))
		}
		conn.Close()
	}
}
