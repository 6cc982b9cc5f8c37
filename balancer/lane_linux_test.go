package balancer

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/halleycomet/halley/internal/testenv"
	"github.com/valyala/fasthttp"
)

// Each request goes by the lane, or leaves it for the reason that is counted, and is
// answered all the same; what comes after it on the connection goes by the lane again.
func TestLaneExits(t *testing.T) {
	needsLanes(t)
	long := strings.Repeat("x", maxLaneAnswer)
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case strings.Contains(string(body), "at-length"):
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			io.WriteString(w, long)
		case strings.Contains(string(body), "in-pieces"):
			io.WriteString(w, "[")
			w.(http.Flusher).Flush()
			io.WriteString(w, "]")
		default:
			fmt.Fprintf(w, "%d %s %s", len(body), r.Method, r.URL)
		}
	})
	b := listing(t, quick(), a)
	everyday := laneRequest(publish("1", "x"))
	big := strings.Repeat("y", maxLaneBody)
	for _, c := range []struct {
		what, request string
		why           exit // exitNone: by the lane
		answer        string
	}{
		{"a publish", everyday, exitNone, "POST /cometd"},
		{"a poll", laneRequest(connect("1", "x")), exitNone, "POST /cometd"},
		{"below the path", strings.Replace(everyday, "/cometd", "/cometd/connect?a=b", 1), exitNone, "POST /cometd/connect?a=b"},
		{"a handshake", laneRequest(handshake), exitHandshake, "POST /cometd"},
		{"a page", strings.Replace(everyday, "/cometd", "/page", 1), exitOther, "POST /page"},
		{"a GET", "GET /cometd?jsonp=f HTTP/1.1\r\nHost: h\r\n\r\n", exitOther, "GET"},
		{"HTTP/1.0", strings.Replace(laneRequest("{}", "Connection: keep-alive\r\n"), "HTTP/1.1", "HTTP/1.0", 1), exitOther, "POST"},
		{"chunks", "POST /cometd HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", exitOther, "2 POST"},
		{"no messages", laneRequest("no messages"), exitOther, "POST"},
		{"a long request", laneRequest(`[{"channel":"/a","data":"` + big + `"}]`), exitLarge, "POST"},
		{"a long answer", laneRequest(publish("at-length", "x")), exitAnswer, long},
		{"an answer in chunks", laneRequest(publish("in-pieces", "x")), exitAnswer, "[]"},
		{"a strange host", strings.Replace(everyday, "h:8080", "[::1]:1", 1), exitOther, "POST"},
	} {
		t.Run(c.what, func(t *testing.T) {
			conn := b.connection()
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			br := bufio.NewReader(conn)
			ask := func(request string) string {
				io.WriteString(conn, request)
				_, body := httpAnswer(t, br)
				return body
			}
			for range 2 {
				laned, left := b.laned(), b.scrape("lane_exits_total", "reason="+c.why.String())
				if got := ask(c.request); !strings.Contains(got, c.answer) {
					t.Fatalf("answered %.200q", got)
				}
				if c.why == exitNone {
					if b.laned() != laned+1 {
						t.Fatal("not by the lane")
					}
					continue
				}
				if b.scrape("lane_exits_total", "reason="+c.why.String()) != left+1 || b.laned() != laned {
					t.Fatal("did not leave the lane for that")
				}
				ask(everyday)
				if b.laned() != laned+1 {
					t.Fatal("the next request is not in the lane")
				}
			}
		})
	}
	if n := b.comet(a).load.busy.Load(); n != 0 {
		t.Errorf("%d requests are under way", n)
	}
	if n := b.comet(a).limits.conns.Load(); n != 0 {
		t.Errorf("%d connections are in use", n)
	}
}

// A request may come in whatever pieces, several at once, and a second one behind a
// poll that is held.
func TestLaneTakesPieces(t *testing.T) {
	needsLanes(t)
	var held atomic.Int32
	release := make(chan struct{})
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "/meta/connect") {
			held.Add(1)
			<-release
		}
		w.Write(body)
	})
	b := listing(t, quick(), a)
	conn := b.connection()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	br := bufio.NewReader(conn)
	message := publish("1", "x")
	request := laneRequest(message)
	for _, size := range []int{1, 7, len(request) - len(message), len(request) - 1} {
		laned := b.laned()
		for i := 0; i < len(request); i += size {
			io.WriteString(conn, request[i:min(i+size, len(request))])
		}
		if _, body := httpAnswer(t, br); body != message {
			t.Fatalf("pieces of %d: answered %q", size, body)
		}
		if b.laned() != laned+1 {
			t.Errorf("pieces of %d: not by the lane", size)
		}
	}
	io.WriteString(conn, strings.Repeat(request, 20))
	for i := range 20 {
		if _, body := httpAnswer(t, br); body != message {
			t.Fatalf("the %dth of several was answered %q", i, body)
		}
	}
	poll := connect("p", "x")
	io.WriteString(conn, laneRequest(poll))
	b.until("held", func() bool { return held.Load() == 1 })
	io.WriteString(conn, request)
	close(release)
	for _, want := range []string{poll, message} {
		if _, body := httpAnswer(t, br); body != want {
			t.Fatalf("answered %q, want %q", body, want)
		}
	}
}

// A request whose rest does not come ends in time, as without a lane.
func TestLaneDoesNotWaitForever(t *testing.T) {
	a := newFakeComet(t, "a", ok)
	cfg := quick()
	cfg.Limits.ReadTimeout, cfg.Limits.IdleTimeout = 100*time.Millisecond, 200*time.Millisecond
	b := listing(t, cfg, a)
	request := laneRequest(publish("1", "x"))
	for _, part := range []string{"", "POST", request[:40], request[:len(request)-1]} {
		conn := b.connection()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(conn, part)
		got, _ := io.ReadAll(conn)
		if !strings.HasPrefix(string(got), "HTTP/1.1 408") {
			t.Errorf("%q: answered %q", part, got)
		}
	}
	conn := b.connection()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	br := bufio.NewReader(conn)
	io.WriteString(conn, request)
	httpAnswer(t, br)
	if rest, err := io.ReadAll(br); err != nil || len(rest) > 0 {
		t.Errorf("an idle connection ends with %q, %v", rest, err)
	}
}

// A comet that is killed under a thousand polls: each client is told to handshake.
func TestKillUnderManyPolls(t *testing.T) {
	var held atomic.Int32
	a := newFakeComet(t, "a", nil)
	a.serve(holding(&a, &held))
	other := newFakeComet(t, "b", ok)
	b := run(t, quick(), gossipOf(a, other))
	polls := testenv.Clients(1000)
	answers := make([]string, polls)
	var wg sync.WaitGroup
	for i := range polls {
		conn := b.connection()
		conn.SetDeadline(time.Now().Add(60 * time.Second))
		io.WriteString(conn, laneRequest(connect(fmt.Sprint(i), a.clientID())))
		wg.Go(func() {
			if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
				body, _ := io.ReadAll(res.Body)
				answers[i] = string(body)
			}
		})
	}
	b.until("the polls are held", func() bool { return int(held.Load()) == polls })
	a.kill()
	wg.Wait()
	for i, got := range answers {
		if !strings.Contains(got, "402::") || !strings.Contains(got, `"handshake"`) || !strings.Contains(got, fmt.Sprintf(`"id":"%d"`, i)) {
			t.Fatalf("poll %d was answered %q", i, got)
		}
	}
	for _, load := range []*atomic.Int64{&b.comet(a).load.busy, &b.comet(a).load.held, &b.comet(a).limits.conns} {
		b.until("nothing is under way", func() bool { return load.Load() == 0 })
	}
	if n := b.comet(a).up.conns(); n != 0 {
		t.Errorf("%d connections to it are left", n)
	}
}

// The address of a name is found out by the handler, and the lane uses it for a while.
func TestLaneAndNames(t *testing.T) {
	needsLanes(t)
	a := newFakeComet(t, "a", ok)
	_, port, _ := net.SplitHostPort(a.addr)
	cfg := quick()
	cfg.Comets = []string{"http://localhost:" + port}
	b := run(t, cfg, nil)
	b.post(publish("1", "x"))
	laned := b.laned()
	b.post(publish("2", "x"))
	if b.laned() != laned+1 {
		t.Error("a name that was looked up is not in the lane")
	}
}

// What waits in a lane is small.
func TestLaneIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(laneClient{}) + unsafe.Sizeof(laneWire{}); n > 800 {
		t.Errorf("a poll that is held takes %d bytes and its request", n)
	}
}

// Reading and routing a request, and reading its answer, allocates little.
func TestLaneAllocatesLittle(t *testing.T) {
	needsLanes(t)
	if testenv.Race {
		t.Skip("the race detector allocates")
	}
	a := newFakeComet(t, "a", ok)
	b := run(t, quick(), gossipOf(a))
	l := b.lanes.all[0]
	request := []byte(laneRequest(publish("1", a.clientID()), "Cookie: BAYEUX_BROWSER=abc\r\nContent-Type: application/json\r\n"))
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]")
	peer := netip.MustParseAddr("127.0.0.1")
	done := make(chan float64)
	if !l.loop.Post(func() {
		done <- testing.AllocsPerRun(100, func() {
			_, why := l.parse(&l.rq, peer, request)
			if _, none := l.route(&l.rq); why != exitNone || none != exitNone {
				panic(why.String() + none.String())
			}
			l.out = appendHead(l.out[:0], &l.rq.from, "a:80", "BAYEUX_BROWSER", "")
			readAnswer(answer)
		})
	}) {
		t.Fatal("the loop does not run")
	}
	if n := <-done; n > 4 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzLaneAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
		"HTTP/1.1 200\r\nContent-Length: 2\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n[]",
		"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n[]",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\n[]",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, v := readAnswer(data)
		if v != answerPlain {
			return
		}
		var h fasthttp.ResponseHeader
		br := bufio.NewReaderSize(bytes.NewReader(data), maxAnswerHead+len(data))
		if err := h.Read(br); err != nil {
			t.Fatalf("passed on, and refused by the handler: %v", err)
		}
		if read := len(data) - br.Buffered(); h.StatusCode() != a.status || h.ContentLength() != a.body || read != a.head || h.ConnectionClose() != a.close {
			t.Fatalf("read as %d, %d bytes after %d, close %v; by the handler as %d, %d after %d, %v", a.status, a.body, a.head,
				a.close, h.StatusCode(), h.ContentLength(), read, h.ConnectionClose())
		}
		if len(data) < a.head+a.body {
			return
		}
		out := a.appendTo(nil, data[:a.head+a.body], "X-Request-Id", []byte("0123"))
		again, v := readAnswer(out)
		if v != answerPlain || again.edit || !bytes.Contains(out[:again.head], []byte("\r\nX-Request-Id: 0123\r\n")) || again.status != a.status || again.body != a.body || !bytes.Equal(out[again.head:], data[a.head:a.head+a.body]) {
			t.Fatalf("passed on as %q", out)
		}
	})
}
