package balancer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// Only an answer with which the session would go on is made one that moves the client;
// all others are passed on as they are. The access log has what the client got.
func TestDrainLeavesOtherAnswers(t *testing.T) {
	const fine = `[{"id":"1","channel":"/meta/connect","successful":true}]`
	for _, c := range []struct {
		name   string
		status int
		body   string
		moved  bool  // by this answer
		polls  int64 // that count as moved
	}{
		{"all is well", 200, fine, true, 1},
		{"much that waited", 200, `[{"channel":"/news","data":"` + strings.Repeat("x", 2*wholeAnswer) + `"},` + fine[1:], true, 1},
		{"superseded", 500, fine, false, 0},
		{"superseded, as older ones say it", 408, fine, false, 0},
		{"moved by the comet", 200, `[{"id":"1","channel":"/meta/connect","successful":false,"error":"402::session_unknown","advice":{"reconnect":"handshake"}}]`, false, 1},
		{"refused for good", 200, `[{"id":"1","channel":"/meta/connect","successful":false,"error":"403::no","advice":{"reconnect":"none"}}]`, false, 0},
		{"nothing of the connect", 200, `[{"channel":"/news","data":1}]`, false, 0},
		{"nothing of Bayeux", 200, `<html>`, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			left := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("ETag", `"x"`)
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			})
			cfg := quick()
			cfg.AccessLog = filepath.Join(t.TempDir(), "log")
			b := lanesOr(t, true, cfg, left, newFakeComet(t, "b", ok))
			b.drain(left)
			got := b.post(connect("1", "s"), b.cookieOf(left))
			if got.status != c.status {
				t.Errorf("status %d", got.status)
			}
			if tagged := got.header.Get("ETag") != ""; tagged == c.moved {
				t.Errorf("has the tag of what the comet wrote: %v", tagged)
			}
			if c.moved {
				if last := got.replies[len(got.replies)-1]; !movedReply(last) {
					t.Errorf("%+v", last)
				}
			} else if got.body != c.body {
				t.Errorf("%s", got.body)
			}
			if st := b.progress(left); st.Polls != c.polls || st.Forced != 0 || b.scrape("moved_total", "how=poll") != float64(c.polls) {
				t.Errorf("progress %+v", st)
			}
			b.stop()
			line, err := os.ReadFile(cfg.AccessLog)
			var logged struct{ Out int }
			if err == nil {
				err = json.Unmarshal(line, &logged)
			}
			if err != nil || logged.Out != len(got.body) {
				t.Errorf("%v, of %d bytes are logged: %s", err, len(got.body), line)
			}
		})
	}
}

// Who acknowledges, and has not acknowledged what comes with the last answer, counts as
// moved by force; who has nothing waiting does not.
func TestDrainForces(t *testing.T) {
	cfg := quick()
	cfg.DrainTime = 400 * time.Millisecond
	s := newServer(time.Minute, "r", "s")
	b, left, _, cookie := fleetOfTwo(t, cfg, s)
	b.drain(left)
	b.until("the time is over", func() bool { return b.comet(left).drain.Load().late(time.Now()) })
	s.queue("s", "hello")
	for _, c := range []struct {
		session               string
		replies, polls, force int
	}{{"r", 1, 1, 0}, {"s", 2, 2, 1}} {
		got := b.post(strings.Replace(connect("1", c.session), `"id"`, `"ext":{"ack":3},"id"`, 1), cookie)
		if len(got.replies) != c.replies || !movedReply(got.replies[c.replies-1]) {
			t.Errorf("%s", got.body)
		}
		if st := b.progress(left); st.Polls != int64(c.polls) || st.Forced != int64(c.force) {
			t.Errorf("progress %+v", st)
		}
		if polls, forced := b.scrape("moved_total", "how=poll"), b.scrape("moved_total", "how=forced"); polls != float64(c.polls) || forced != float64(c.force) {
			t.Errorf("%v moved, %v of them by force", polls, forced)
		}
	}
}

// A client that does not want to be held for long is left as it is.
func TestDrainOfShortPolls(t *testing.T) {
	s := newServer(time.Minute, "s")
	b, left, _, cookie := fleetOfTwo(t, quick(), s)
	b.drain(left)
	dr := b.comet(left).drain.Load()
	dr.limit.SetBurst(0) // nobody has his turn
	for _, ms := range []int{500, 9000} {
		s.queue("s", "hello") // or it would be held
		b.post(strings.Replace(connect("1", "s"), `"id"`, fmt.Sprintf(`"advice":{"timeout":%d},"id"`, ms), 1), cookie)
	}
	s.note(func() {
		if len(s.timeouts) != 2 || s.timeouts[0] != "500" || len(s.timeouts[1]) != 4 || s.timeouts[1] > "3000" {
			t.Errorf("the comet was asked to hold for %q ms", s.timeouts)
		}
	})
	if dr.polled.Load() == 0 {
		t.Error("nobody was seen who is to be waited for")
	}
}

// A connection on which the comet was told is used again only if nothing speaks against
// it.
func TestTell(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		fails        error
		keeps        bool
	}{
		{"well", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", nil, true},
		{"the comet closes", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]", nil, false},
		{"more than an answer", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]x", nil, false},
		{"too long", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", maxPartAnswer+1), fasthttp.ErrBodyTooLarge, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPool(t, nil)
			stays := make(chan net.Conn, 1)
			go func() {
				conn := <-p.other
				_, _ = conn.Read(make([]byte, 100))
				io.WriteString(conn, c.answer)
				stays <- conn
			}()
			out := outgoing{head: []byte("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), wait: 20 * time.Second}
			err := tell(&comet{up: p.upstream}, &out, 20*time.Second)
			defer (<-stays).Close()
			if keeps := len(p.idleWires()) == 1; !errors.Is(err, c.fails) || keeps != c.keeps || p.conns() != len(p.idleWires()) {
				t.Errorf("%v; kept: %v; %d connections", err, keeps, p.conns())
			}
		})
	}
}
