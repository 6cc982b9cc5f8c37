package balancer

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/testenv"
)

// echo answers with what it reads, while it reads. Reads says how each request ended.
func echo(reads chan<- error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		c.EnableFullDuplex()
		if r.ContentLength > 0 {
			w.Header().Set("Content-Length", fmt.Sprint(r.ContentLength))
		}
		c.Flush()
		buf := make([]byte, 16<<10)
		for {
			n, err := r.Body.Read(buf)
			if n > 0 {
				if _, err := w.Write(buf[:n]); err != nil {
					reads <- err
					return
				}
				c.Flush()
			}
			if err != nil {
				if err == io.EOF {
					err = nil
				}
				reads <- err
				return
			}
		}
	}
}

// talk is a connection of a client that sends and receives at once.
type talk struct {
	net.Conn
	t    *testing.T
	body io.Writer // of the request
	end  func()    // ends a chunked one
	resp *http.Response
}

// talkTo sends the head of a POST with a body of that length; -1 is chunked.
func talkTo(b *running, length int64) *talk {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	c := &talk{Conn: conn, t: b.t, body: conn, end: func() {}}
	framing := fmt.Sprintf("Content-Length: %d", length)
	if length < 0 {
		framing = "Transfer-Encoding: chunked"
		chunked := httputil.NewChunkedWriter(conn)
		c.body, c.end = chunked, func() { chunked.Close(); io.WriteString(conn, "\r\n") }
	}
	fmt.Fprintf(conn, "POST /talk HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n", framing)
	return c
}

// answer reads the head of the answer.
func (c *talk) answer() *http.Response {
	c.t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.resp = resp
	return resp
}

// alone waits until nothing is left of the requests.
func (r *running) alone(a *fakeComet) {
	r.t.Helper()
	c := r.comet(a)
	r.until("nothing is left", func() bool {
		return c.up.conns() == len(c.up.idleWires()) && c.load.busy.Load() == 0 && r.clients.len() == 0
	})
}

func (u *upstream) idleWires() []*wire {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]*wire(nil), u.idle...)
}

var framings = map[string]func(n int64) int64{
	"fixed length": func(n int64) int64 { return n },
	"chunked":      func(int64) int64 { return -1 },
}

// A body of any size comes back while it is sent, in bounded memory, though the
// buffers of all the sockets together hold but a part of it.
func TestStreamingEcho(t *testing.T) {
	size := int64(32 << 20)
	for name, length := range framings {
		t.Run(name, func(t *testing.T) {
			reads := make(chan error, 1)
			a := newFakeComet(t, "a", echo(reads))
			b := listing(t, quick(), a)
			want := sha256.New()
			io.CopyN(want, &pattern{}, size)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			c := talkTo(b, length(size))
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, err := io.CopyN(c.body, &pattern{}, size); err != nil {
					t.Error(err)
				}
				c.end()
			})
			resp, got := c.answer(), sha256.New()
			n, err := io.Copy(got, resp.Body)
			wg.Wait()
			if err != nil || n != size || string(got.Sum(nil)) != string(want.Sum(nil)) {
				t.Errorf("%d of %d bytes came back, %v", n, size, err)
			}
			if err := <-reads; err != nil {
				t.Errorf("the comet: %v", err)
			}
			runtime.ReadMemStats(&after)
			if grew := after.TotalAlloc - before.TotalAlloc; grew > 8<<20 {
				t.Errorf("%d MiB were allocated for %d MiB there and back", grew>>20, size>>20)
			}
			c.Close()
			b.alone(a)
		})
	}
}

// What is said in one direction may depend on what was heard in the other.
func TestConversation(t *testing.T) {
	for name, length := range framings {
		t.Run(name, func(t *testing.T) {
			reads := make(chan error, 1)
			a := newFakeComet(t, "a", echo(reads))
			b := listing(t, quick(), a)
			const times, size = 20, 10 << 10
			c := talkTo(b, length(times*size))
			said, heard := make([]byte, size), make([]byte, size)
			for i := range times {
				(&pattern{n: int64(i)}).Read(said)
				if _, err := c.body.Write(said); err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					c.answer()
				}
				if _, err := io.ReadFull(c.resp.Body, heard); err != nil || string(heard) != string(said) {
					t.Fatalf("turn %d: %v", i, err)
				}
			}
			c.end()
			if n, err := c.resp.Body.Read(heard); n != 0 || err != io.EOF {
				t.Errorf("at the end: %d bytes, %v", n, err)
			}
			if err := <-reads; err != nil {
				t.Errorf("the comet: %v", err)
			}
			b.alone(a)
		})
	}
}

// An answer that ends before the body does: the client gets it whole and at once, and
// both connections end.
func TestAnswerWithoutTheBody(t *testing.T) {
	answers := map[string]string{
		"refused":   "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nmuch",
		"no answer": "HTTP/1.1 204 No Content\r\n\r\n",
		"chunked":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nmuch\r\n0\r\n\r\n",
		"long":      "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("much", 250_000),
	}
	for name, length := range framings {
		for what, answer := range answers {
			t.Run(name+", "+what, func(t *testing.T) {
				ended := make(chan struct{})
				a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
					conn, rw := hijack(w)
					defer conn.Close()
					go io.WriteString(conn, answer)
					io.Copy(io.Discard, rw) // until the balancer ends it
					close(ended)
				})
				b := listing(t, quick(), a)
				c := talkTo(b, length(1<<40))
				sent := make(chan struct{})
				go func() { io.Copy(c.body, &pattern{}); close(sent) }()
				began := time.Now()
				resp := c.answer()
				got, err := io.ReadAll(resp.Body)
				_, want, _ := strings.Cut(answer, "\r\n\r\n")
				if what == "chunked" {
					want = "much"
				}
				if err != nil || string(got) != want || !resp.Close || resp.Status[:3] != answer[9:12] {
					t.Errorf("%s, %d bytes, close %v, %v", resp.Status, len(got), resp.Close, err)
				}
				if took := time.Since(began); took > testenv.Bound(2*time.Second) {
					t.Errorf("it took %v", took)
				}
				if what != "refused" {
					c.Close() // else it is the balancer that ends it, after a while
				}
				<-sent
				<-ended
				b.alone(a)
			})
		}
	}
}

// An answer comes while the client pauses within its body.
func TestAnswerWithinAPause(t *testing.T) {
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		c.EnableFullDuplex() // or net/http would wait for the body
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusForbidden)
		c.Flush()
	})
	b := listing(t, quick(), a)
	c := talkTo(b, -1)
	io.WriteString(c.body, "hello")
	if resp := c.answer(); resp.StatusCode != http.StatusForbidden || !resp.Close {
		t.Errorf("%s, close %v", resp.Status, resp.Close)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("then %d bytes, %v", n, err)
	}
	b.alone(a)
}

// Who goes away in the middle ends it for the other one, and half a body or half an
// answer is never taken for a whole.
func TestTalkIsCutShort(t *testing.T) {
	for name, length := range framings {
		begin := func(t *testing.T, cfg Config) (*running, *fakeComet, *talk, chan error) {
			reads := make(chan error, 1)
			a := newFakeComet(t, "a", echo(reads))
			b := listing(t, cfg, a)
			c := talkTo(b, length(1<<30))
			c.body.Write(make([]byte, 20<<10))
			c.answer()
			if _, err := io.CopyN(io.Discard, c.resp.Body, 20<<10); err != nil {
				t.Fatal(err)
			}
			return b, a, c, reads
		}
		t.Run(name+", client resets", func(t *testing.T) {
			b, a, c, reads := begin(t, quick())
			reset(c.Conn)
			if err := <-reads; err == nil {
				t.Error("the comet took it for a whole")
			}
			b.alone(a)
		})
		t.Run(name+", client ends its half", func(t *testing.T) {
			b, a, c, reads := begin(t, quick())
			c.Conn.(*net.TCPConn).CloseWrite()
			if err := <-reads; err == nil {
				t.Error("the comet took it for a whole")
			}
			if _, err := io.Copy(io.Discard, c.resp.Body); err == nil {
				t.Error("the client took it for a whole")
			}
			b.alone(a)
		})
		t.Run(name+", comet dies", func(t *testing.T) {
			b, a, c, _ := begin(t, quick())
			a.kill()
			if _, err := io.Copy(io.Discard, c.resp.Body); err == nil {
				t.Error("the client took it for a whole")
			}
			b.alone(a)
		})
		t.Run(name+", client takes nothing", func(t *testing.T) {
			cfg := quick()
			cfg.Limits.WriteTimeout = 100 * time.Millisecond
			b, a, c, reads := begin(t, cfg)
			if _, err := io.Copy(c.body, &pattern{}); err == nil {
				t.Error("all of it was sent")
			}
			if err := <-reads; err == nil {
				t.Error("the comet took it for a whole")
			}
			b.alone(a)
		})
		t.Run(name+", both are silent", func(t *testing.T) {
			cfg := quick()
			cfg.Limits.ConnectTimeout = 200 * time.Millisecond
			b, a, c, reads := begin(t, cfg)
			if err := <-reads; err == nil {
				t.Error("the comet took it for a whole")
			}
			if _, err := io.Copy(io.Discard, c.resp.Body); err == nil {
				t.Error("the client took it for a whole")
			}
			b.alone(a)
		})
		t.Run(name+", the balancer stops", func(t *testing.T) {
			cfg := quick()
			cfg.StopTime = 50 * time.Millisecond
			b, _, c, reads := begin(t, cfg)
			b.stop()
			if err := <-reads; err == nil {
				t.Error("the comet took it for a whole")
			}
			if _, err := io.Copy(io.Discard, c.resp.Body); err == nil {
				t.Error("the client took it for a whole")
			}
		})
	}
}

// Who listens may be silent for longer than the limits of one who only sends or only
// listens, as long as the other one talks.
func TestListenersMayBeSilent(t *testing.T) {
	const step, steps = 60 * time.Millisecond, 30
	tick := func(each func() error) error {
		ticker := time.NewTicker(step)
		defer ticker.Stop()
		for range steps {
			<-ticker.C
			if err := each(); err != nil {
				return err
			}
		}
		return nil
	}
	cfg := quick()
	cfg.Limits.ReadTimeout, cfg.Limits.UpstreamTimeout = step*steps/3, step*steps/3
	cfg.Limits.ConnectTimeout = step * steps / 3
	one := make([]byte, 1<<10)
	t.Run("client", func(t *testing.T) {
		a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(w)
			c.EnableFullDuplex()
			io.ReadFull(r.Body, one)
			tick(func() error { w.Write(one); return c.Flush() })
			io.Copy(w, r.Body)
		})
		b := listing(t, cfg, a)
		c := talkTo(b, -1)
		c.body.Write(one)
		got, err := io.CopyN(io.Discard, c.answer().Body, steps<<10)
		if err != nil {
			t.Fatalf("%d bytes, %v", got, err)
		}
		io.WriteString(c.body, "bye")
		c.end()
		if rest, err := io.ReadAll(c.resp.Body); string(rest) != "bye" || err != nil {
			t.Errorf("%q %v", rest, err)
		}
	})
	for what, early := range map[string]bool{"comet": true, "comet without an answer yet": false} {
		t.Run(what, func(t *testing.T) {
			a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
				if early {
					c := http.NewResponseController(w)
					c.EnableFullDuplex()
					c.Flush()
				}
				n, err := io.Copy(io.Discard, r.Body)
				fmt.Fprint(w, n, err)
			})
			b := listing(t, cfg, a)
			c := talkTo(b, -1)
			if err := tick(func() error { _, err := c.body.Write(one); return err }); err != nil {
				t.Fatal(err)
			}
			c.end()
			got, err := io.ReadAll(c.answer().Body)
			if want := fmt.Sprint(steps<<10, error(nil)); string(got) != want || err != nil {
				t.Errorf("%q %v, want %q", got, err, want)
			}
		})
	}
}
