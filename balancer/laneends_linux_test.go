package balancer

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// scripted is a comet with small buffers. It answers checks; for everything else it
// calls serve when a head has come, whose body is behind it. False ends the connection.
func scripted(t *testing.T, serve func(conn *net.TCPConn, br *bufio.Reader, head string, length int) bool) (url string) {
	t.Helper()
	small := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1) })
	}}
	ln, err := small.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	one := func(conn *net.TCPConn, br *bufio.Reader) bool {
		tp := textproto.NewReader(br)
		line, err := tp.ReadLine()
		if err != nil {
			return false
		}
		header, err := tp.ReadMIMEHeader()
		if err != nil {
			return false
		}
		length, _ := strconv.Atoi(header.Get("Content-Length"))
		if length == len(checkOthers) {
			if p, err := br.Peek(length); err == nil && bytes.Equal(p, []byte(checkOthers)) {
				br.Discard(length)
				const unknown = `[{"id":"1","channel":"/meta/connect","successful":false,"error":"402::session_unknown"}]`
				_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(unknown))+"\r\n\r\n"+unknown)
				return err == nil
			}
		}
		return serve(conn, br, line, length)
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(60 * time.Second))
				for br := bufio.NewReader(conn); one(conn.(*net.TCPConn), br); {
				}
			}()
		}
	}()
	return "http://" + ln.Addr().String()
}

func scriptedOne(t *testing.T, url string) *running {
	cfg := quick()
	cfg.Comets = []string{url}
	return run(t, cfg, nil)
}

// A comet that ends in the midst of its answer is noticed at once, also when the loop
// is told of the end together with what came before it.
func TestLaneNoticesTheEnd(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
	for _, part := range []int{1, 20, len(answer)} {
		b := scriptedOne(t, scripted(t, func(conn *net.TCPConn, br *bufio.Reader, _ string, length int) bool {
			io.CopyN(io.Discard, br, int64(length))
			io.WriteString(conn, answer[:part])
			return false
		}))
		began := time.Now()
		for range 10 {
			if r := b.post(publish("1", "x")).one(t); !strings.HasPrefix(r.Error, "502::") {
				t.Fatalf("answered %+v", r)
			}
		}
		if took := time.Since(began); took > DefaultConfig().Limits.UpstreamTimeout/2 {
			t.Errorf("%d bytes of an answer: it took %v", part, took)
		}
	}
}

// One that says nothing more in the midst of an answer that is not the lane's is not
// waited for longer than any other.
func TestLaneLeavesStalledAnswers(t *testing.T) {
	for name, answer := range map[string]string{
		"long":      "HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\nhalf",
		"in chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: ",
	} {
		cfg := quick()
		cfg.Limits.UpstreamTimeout = 200 * time.Millisecond
		cfg.Comets = []string{scripted(t, func(conn *net.TCPConn, br *bufio.Reader, _ string, length int) bool {
			io.CopyN(io.Discard, br, int64(length))
			io.WriteString(conn, answer)
			io.Copy(io.Discard, br)
			return false
		})}
		b := run(t, cfg, nil)
		if r := b.post(publish("1", "x")).one(t); !strings.HasPrefix(r.Error, "502::") {
			t.Errorf("%s: answered %+v", name, r)
		}
	}
}

// A client that ends in the midst of its request is told so, and forgotten at once.
func TestLaneForgetsHalfARequest(t *testing.T) {
	a := newFakeComet(t, "a", ok)
	b := listing(t, quick(), a)
	request := laneRequest(publish("1", "x"))
	seen, began := a.requests(), time.Now()
	for range 20 {
		conn := b.connection()
		io.WriteString(conn, request[:len(request)-3])
		conn.CloseWrite()
		conn.SetDeadline(time.Now().Add(60 * time.Second))
		if got, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 400") {
			t.Fatalf("answered %q, %v", got, err)
		}
	}
	if took := time.Since(began); took > DefaultConfig().Limits.ReadTimeout/2 {
		t.Errorf("it took %v", took)
	}
	if n := a.requests(); n != seen {
		t.Errorf("the comet got %d requests", n-seen)
	}
}

// A comet may answer before it has read all of a request. What it has not read is never
// followed by another request, of which that would be the beginning.
func TestLaneEarlyAnswer(t *testing.T) {
	needsLanes(t)
	for name, pieces := range map[string][]string{
		"whole":     {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"},
		"in pieces": {"HTTP/1.1 200 OK\r\nContent-Le", "ngth: 2\r\n\r\n[]"},
		"in chunks": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			behind, rest := make(chan string, 1), make(chan struct{})
			b := scriptedOne(t, scripted(t, func(conn *net.TCPConn, br *bufio.Reader, _ string, length int) bool {
				if length < 1000 {
					io.CopyN(io.Discard, br, int64(length))
					_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[{}]\n")
					return err == nil
				}
				for i, piece := range pieces {
					if i > 0 {
						<-rest
					}
					io.WriteString(conn, piece)
				}
				all, _ := io.ReadAll(br)
				behind <- string(all)
				return false
			}))
			conn := b.connection()
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			br := bufio.NewReader(conn)
			io.WriteString(conn, laneRequest(publish("1", "x")))
			httpAnswer(t, br)
			small := make(chan int, len(b.lanes.all))
			b.lanes.each(func(l *lane) {
				n := 0
				for _, p := range l.pools {
					for _, w := range p.idle {
						_ = w.sock.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 1) })
						n++
					}
				}
				small <- n
			})
			n := 0
			for range b.lanes.all {
				n += <-small
			}
			if n == 0 {
				t.Fatal("no idle connection")
			}
			big := `[{"channel":"/a","data":"` + strings.Repeat("y", maxLaneBody-100) + `"}]`
			io.WriteString(conn, laneRequest(big))
			if len(pieces) > 1 {
				b.until("the first piece was read", func() bool {
					found := make(chan bool, len(b.lanes.all))
					b.lanes.each(func(l *lane) {
						some := false
						for _, p := range l.pools {
							some = some || p.first != nil && p.first.state == wireAnswers
						}
						found <- some
					})
					some := false
					for range b.lanes.all {
						some = <-found || some
					}
					return some
				})
			}
			close(rest)
			if _, body := httpAnswer(t, br); body != "[]" {
				t.Fatalf("answered %q", body)
			}
			for range 3 {
				io.WriteString(conn, laneRequest(publish("2", "x")))
				if _, body := httpAnswer(t, br); body != "[{}]\n" {
					t.Fatalf("the next is answered %q", body)
				}
			}
			select {
			case got := <-behind:
				if !strings.HasPrefix(big, got) {
					t.Errorf("behind the answer came %.100q", got[len(strings.TrimLeft(got, "y")):])
				}
			case <-time.After(10 * time.Second):
				t.Error("the connection is kept")
			}
		})
	}
}

// An address that grows old between the route and the dial is still an address: to
// dial none would be refused, and the comet taken for dead.
func TestAddressGrowsOld(t *testing.T) {
	u := newUpstream("comet.example:80", liveOf(t, quick()))
	if _, ok := u.literal(); ok {
		t.Fatal("a name is known that was never dialled")
	}
	at := netip.MustParseAddrPort("10.0.0.1:80")
	u.seen.Store(&seen{at, time.Now().Add(-2 * nameTime)})
	if got, ok := u.literal(); got != at || ok {
		t.Errorf("%v, known %v", got, ok)
	}
}
