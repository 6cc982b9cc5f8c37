package comet

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// opaque hides what a connection is, so that it is not parked.
type opaque struct{ net.Listener }

func (l opaque) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return struct{ net.Conn }{conn}, nil
}

// startUnparked serves on loopback, and parks nothing.
func startUnparked(t *testing.T, change func(*Config)) *fixture {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, opaque{ln}, func() (net.Conn, error) { return net.Dial("tcp4", ln.Addr().String()) }, change, nil)
}

// parked counts the lines that wait in the set: with a held connect, and without.
func (f *fixture) parked() (polls, resting int) {
	n := f.lot.Counts()
	return n.Held, n.Resting
}

func (f *fixture) waitParked(n int) {
	f.tb.Helper()
	eventually(f.tb, "parked polls", func() bool { polls, _ := f.parked(); return polls == n })
}

func (f *fixture) waitResting(n int) {
	f.tb.Helper()
	eventually(f.tb, "resting connections", func() bool { _, resting := f.parked(); return resting == n })
}

// waitRunning waits until connections can be parked: those that come before stay in
// their goroutines for their first request.
func (f *fixture) waitRunning() {
	probe, err := f.dial()
	if err != nil {
		f.tb.Fatal(err)
	}
	defer probe.Close()
	eventually(f.tb, "the set to run", func() bool { _, ok := f.watch.Conn(probe); return ok })
}

// raw opens a connection with a time limit.
func (f *fixture) raw() (net.Conn, *bufio.Reader) {
	f.tb.Helper()
	f.waitRunning()
	conn, err := f.dial()
	if err != nil {
		f.tb.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	f.tb.Cleanup(func() { conn.Close() })
	return conn, bufio.NewReader(conn)
}

// hear reads an answer, with every byte of it.
func hear(t *testing.T, r *bufio.Reader) (text, body string) {
	t.Helper()
	var resp fasthttp.Response
	var all strings.Builder
	tee := bufio.NewReader(io.TeeReader(oneByOne{r}, &all))
	if err := resp.Read(tee); err != nil {
		t.Fatal(err)
	}
	return all.String(), string(resp.Body())
}

// oneByOne keeps a second buffer from reading ahead.
type oneByOne struct{ r io.Reader }

func (o oneByOne) Read(p []byte) (int, error) { return o.r.Read(p[:1]) }

var (
	date       = regexp.MustCompile(`Date: [^\r]*`)
	connection = regexp.MustCompile(`Connection: [^\r]*\r\n`)
)

func post(headers, body string) string {
	return fmt.Sprintf("POST /cometd HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", headers, len(body), body)
}

// A client cannot tell a parked connect from one that is not: each byte is the same,
// however it is sent and however it ends.
func TestParkedAnswers(t *testing.T) {
	requests := map[string]string{
		"plain":    post("", connectBody),
		"origin":   post("Origin: https://a.example\r\n", connectBody),
		"close":    post("Connection: close\r\n", connectBody),
		"jsonp":    "GET /cometd?jsonp=cb&message=" + connectBody + " HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\n\r\n",
		"1.0":      strings.Replace(post("", connectBody), "HTTP/1.1", "HTTP/1.0", 1),
		"1.0 kept": strings.Replace(post("Connection: keep-alive\r\n", connectBody), "HTTP/1.1", "HTTP/1.0", 1),
		"chunked":  "POST /cometd HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%CHUNK",
		"continue": post("Expect: 100-continue\r\n", connectBody),
	}
	endings := map[string]func(f *fixture, id, other string){
		"message": func(f *fixture, _, other string) { publish(f, other, "/b", `"\u2028"`) },
		"replaced": func(f *fixture, id, _ string) {
			f.post(id, `[{"channel":"/meta/connect","clientId":"%","advice":{"timeout":0}}]`)
		},
		"disconnected": func(f *fixture, id, _ string) { f.post(id, `[{"channel":"/meta/disconnect","clientId":"%"}]`) },
		"dropped":      func(f *fixture, id, _ string) { f.DropSession(id) },
		"timeout":      func(f *fixture, id, _ string) { s := f.session(id); s.release(s.heldNow(), releaseTimeout) },
		"leaving":      func(f *fixture, _, _ string) { f.stop() },
	}
	for how, request := range requests {
		for ending, end := range endings {
			t.Run(how+", "+ending, func(t *testing.T) {
				t.Parallel()
				var got [2]string
				for i, start := range []func(*testing.T, func(*Config)) *fixture{startUnparked, func(t *testing.T, change func(*Config)) *fixture { return startTCP(t, change) }} {
					f := start(t, func(c *Config) { c.Origins = []string{"*"} })
					id, other := f.connected("/b"), f.connected()
					conn, r := f.raw()
					body := strings.ReplaceAll(connectBody, "%", id)
					text := strings.ReplaceAll(request, "%CHUNK", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body))
					text = strings.ReplaceAll(text, connectBody, body)
					text = regexp.MustCompile(`Content-Length: \d+`).ReplaceAllString(text, fmt.Sprintf("Content-Length: %d", len(body)))
					io.WriteString(conn, text)
					f.waitHeld(id)
					if i == 1 {
						f.waitParked(1)
					}
					end(f, id, other)
					got[i], _ = hear(t, r)
					got[i] = strings.ReplaceAll(date.ReplaceAllString(got[i], "Date"), id, "%")
					if ending == "leaving" {
						// Unparked, it is a matter of luck whether the end is announced.
						got[i] = connection.ReplaceAllString(got[i], "")
						continue
					}
					if strings.Contains(got[i], "Connection: close") {
						if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
							t.Errorf("not closed: %q %v", rest, err)
						}
						continue
					}
					io.WriteString(conn, post("", `[]`))
					if _, body := hear(t, r); body != "[]" {
						t.Errorf("the next request: %s", body)
					}
				}
				mustBe(t, got[1], got[0])
			})
		}
	}
}

func (s *session) heldNow() *hold {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hold
}

// What waits costs no goroutine.
func TestParkedCostsNoGoroutine(t *testing.T) {
	f := startTCP(t, nil)
	const n = 100
	ids := make([]string, n)
	for i := range ids {
		ids[i] = f.connected("/b")
	}
	publisher := f.connected()
	f.client.CloseIdleConnections()
	before := runtime.NumGoroutine()
	readers := make([]*bufio.Reader, n)
	for i, id := range ids {
		conn, r := f.raw()
		rawConnect(t, conn, id)
		readers[i] = r
	}
	f.waitParked(n)
	// fasthttp keeps a few that have nothing to do for ten seconds.
	eventually(t, "the end of their goroutines", func() bool { return runtime.NumGoroutine() < before+n/2 })
	publish(f, publisher, "/b", 1)
	for _, r := range readers {
		_, body := hear(t, r)
		mustHold(t, body, `"data":1`)
	}
	f.waitResting(n + 1)
	eventually(t, "the end of their goroutines", func() bool { return runtime.NumGoroutine() < before+n/2 })
}

// A client that hangs up while its connect is parked gets the next message with its
// next connect.
func TestParkedHangup(t *testing.T) {
	for name, leave := range map[string]func(*net.TCPConn){
		"closed":           func(c *net.TCPConn) { c.Close() },
		"half":             func(c *net.TCPConn) { c.CloseWrite() },
		"reset":            func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
		"after more bytes": func(c *net.TCPConn) { io.WriteString(c, "POST"); c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			f := startTCP(t, nil)
			id, other := f.connected("/b"), f.connected()
			conn, _ := f.raw()
			rawConnect(t, conn, id)
			f.waitParked(1)
			leave(conn.(*net.TCPConn))
			s := f.session(id)
			eventually(t, "the hang-up", func() bool { return s.heldNow() == nil })
			f.waitParked(0)
			publish(f, other, "/b", 1)
			mustHold(t, f.post(id, connectBody), `[{"channel":"/b","data":1},{"id":"9"`)
		})
	}
}

// So does one that hangs up while its next request waits behind the held connect.
func TestHangupBehindAParkedPoll(t *testing.T) {
	f := startTCP(t, nil)
	id, other := f.connected("/b"), f.connected()
	conn, _ := f.raw()
	io.WriteString(conn, post("", strings.ReplaceAll(connectBody, "%", id))+post("", `[]`))
	f.waitHeld(id)
	eventually(t, "the next request behind it", func() bool { return f.lot.Counts().Behind == 1 })
	conn.Close()
	s := f.session(id)
	eventually(t, "the hang-up", func() bool { return s.heldNow() == nil })
	publish(f, other, "/b", 1)
	mustHold(t, f.post(id, connectBody), `[{"channel":"/b","data":1},{"id":"9"`)
}

// Requests that were sent right behind a held connect wait for its answer, and
// nothing of them is lost.
func TestBehindAParkedPoll(t *testing.T) {
	for name, split := range map[string]func(string) (with, later string){
		"whole":       func(next string) (string, string) { return next, "" },
		"in part":     func(next string) (string, string) { return next[:30], next[30:] },
		"in the body": func(next string) (string, string) { return next[:len(next)-3], next[len(next)-3:] },
		"afterwards":  func(next string) (string, string) { return "", next },
	} {
		t.Run(name, func(t *testing.T) {
			f := startTCP(t, nil)
			id, other, publisher := f.connected("/b"), f.connected("/c"), f.connected()
			conn, r := f.raw()
			with, later := split(post("", strings.ReplaceAll(`[{"channel":"/c","clientId":"%","data":2}]`, "%", id)))
			io.WriteString(conn, post("", strings.ReplaceAll(connectBody, "%", id))+with)
			f.waitHeld(id)
			eventually(t, "parked", func() bool {
				n := f.lot.Counts()
				return n.Held+n.Behind == 1
			})
			io.WriteString(conn, later)
			mustBe(t, f.post(other, `[{"channel":"/meta/connect","clientId":"%","id":"5","advice":{"timeout":20}}]`),
				`[{"id":"5","channel":"/meta/connect","successful":true,`+advised+`}]`) // nothing was published yet
			publish(f, publisher, "/b", 1)
			_, body := hear(t, r)
			mustHold(t, body, `[{"channel":"/b","data":1},{"id":"9"`)
			_, body = hear(t, r)
			mustHold(t, body, `[{"channel":"/c","successful":true}]`)
			mustHold(t, f.post(other, connectBody), `"data":2`)
		})
	}
}

// An answer that a client does not take at once goes on for as long as it takes it.
func TestParkedLargeAnswer(t *testing.T) {
	for _, reads := range []bool{true, false} {
		t.Run(fmt.Sprint("read: ", reads), func(t *testing.T) {
			f := startTCP(t, func(c *Config) {
				c.MaxMessageSize, c.MaxQueueBytes = 32<<20, 64<<20
				if !reads {
					c.WriteTimeout = 100 * time.Millisecond
				}
			})
			id, other := f.connected("/b"), f.connected()
			conn := f.narrow()
			if reads {
				conn = f.dialTCP()
			}
			rawConnect(t, conn, id)
			f.waitParked(1)
			large := `"` + strings.Repeat("z", 16<<20) + `"`
			publish(f, other, "/b", large)
			f.waitParked(1) // still: the rest is being written
			if !reads {
				f.waitParked(0)
				eventually(t, "the connection closed", func() bool {
					_, err := conn.Write([]byte{' '}) // answered with a reset when the comet has closed
					return err != nil
				})
				return
			}
			r := bufio.NewReader(conn)
			var resp fasthttp.Response
			if err := resp.Read(r); err != nil {
				t.Fatal(err)
			}
			mustHold(t, string(resp.Body()[len(resp.Body())-400:]), `zz"},{"id":"9"`)
			io.WriteString(conn, post("", `[]`))
			_, body := hear(t, r)
			mustBe(t, body, "[]")
		})
	}
}

// Connections on which nothing comes are closed without a word, whether something
// was asked before or not.
func TestRestEnds(t *testing.T) {
	for _, asked := range []bool{false, true} {
		f := startTCP(t, func(c *Config) {
			c.IdleTimeout = 3 * time.Second
			c.SweepPeriod = 10 * time.Millisecond
		})
		conn, r := f.raw()
		if asked {
			io.WriteString(conn, post("", `[]`))
			hear(t, r)
		}
		f.waitResting(1)
		if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
			t.Errorf("%q %v", rest, err)
		}
		f.waitResting(0)
	}
}

// A connection that has rested serves any request, a WebSocket's too.
func TestAfterRest(t *testing.T) {
	f := startTCP(t, nil)
	conn, r := f.raw()
	f.waitResting(1)
	for range 3 {
		io.WriteString(conn, post("", `[]`)+post("", `[]`))
		hear(t, r)
		hear(t, r)
		f.waitResting(1)
	}
	dial := f.dial
	f.dial = func() (net.Conn, error) { return conn, nil }
	ws := f.ws()
	ws.say(`[{"channel":"/meta/handshake","id":"1"}]`)
	mustHold(t, ws.hear(), `"successful":true`)
	f.dial = dial
	f.waitResting(0)
}

func (f *fixture) dialTCP() *net.TCPConn {
	conn, _ := f.raw()
	return conn.(*net.TCPConn)
}
