package balancer

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/internal/park"
	"github.com/halleycomet/halley/internal/testenv"
)

// What the server does not come to is given back: the room at the comet, and the
// connection on which its answer has begun. Once.
func TestExcursionEnds(t *testing.T) {
	g := testGate(CometLimits{})
	for range 2 {
		p := newPool(t, nil)
		w, _ := p.take(true)
		room, _ := g.enter(usePoll)
		v := &excursion{tried: &tried{room: room, wire: w}}
		v.end()
		v.end()
		if n := g.conns.Load(); n != 0 || p.conns() != 0 {
			t.Errorf("%d use the comet, %d connections", n, p.conns())
		}
		room, _ = g.enter(usePoll)
		v = &excursion{tried: &tried{room: room}} // it failed
		v.end()
		if n := g.conns.Load(); n != 0 {
			t.Errorf("%d use the comet", n)
		}
	}
}

// beginner is served until it waits for more than what the lane has read.
type beginner struct {
	t     *testing.T
	ended chan struct{}
	began chan time.Time
}

func (b beginner) Serve(turn *park.Turn) {
	v := &excursion{turn: turn, front: []byte("ab")}
	for i, want := range []bool{true, true, false} {
		if n, ok, err := v.read(nil, make([]byte, 1)); ok != want || err != nil || (n > 0) != want {
			b.t.Errorf("read %d: %d, %v, %v", i, n, ok, err)
		}
	}
	b.began <- time.Now()
	<-b.ended
}

// Who waits for the rest of a request lets others have their turn at once.
func TestExcursionPassesItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shift park.Shift
		n := 10 * runtime.GOMAXPROCS(0)
		b := beginner{t, make(chan struct{}), make(chan time.Time, n)}
		at := time.Now()
		for range n {
			shift.Serve(b)
		}
		for range n {
			if late := (<-b.began).Sub(at); late > 0 {
				t.Errorf("one begins after %v", late)
			}
		}
		close(b.ended)
		shift.Wait()
	})
}

// Without a descriptor left, what leaves its lane is answered all the same: by the
// comet, where a connection to it stands, and else by the balancer.
func TestLaneLeftWithoutFiles(t *testing.T) {
	needsLanes(t)
	long := strings.Repeat("x", maxLaneAnswer)
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "at-length") {
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			io.WriteString(w, long)
			return
		}
		io.WriteString(w, "[]")
	})
	cfg := quick()
	cfg.CheckInterval, cfg.RecheckInterval = time.Hour, time.Hour
	b := listing(t, cfg, a)
	conn := b.connection()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	br := bufio.NewReader(conn)
	ask := func(body string) string {
		t.Helper()
		io.WriteString(conn, laneRequest(body))
		res, got := httpAnswer(t, br)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("answered %d %q", res.StatusCode, got)
		}
		return got
	}
	ask(publish("1", "x"))
	b.until("the checks have ended", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.conns) == 1
	})
	back := testenv.TakeFiles(t)
	for range 10 { // that is more often than there is something to spare
		got := ask(handshake)
		if got != "[]" && !(strings.Contains(got, "503::no_comet") && strings.Contains(got, `"reconnect":"retry"`)) {
			t.Fatalf("a handshake is answered %q", got) // by the comet, if somebody has just closed something
		}
		if got := ask(publish("2", "x")); got != "[]" {
			t.Fatalf("a publish is answered %q", got)
		}
	}
	if got := ask(publish("at-length", "x")); got != long {
		t.Errorf("an answer of %d bytes, want %d", len(got), len(long))
	}
	back()
	if n := b.scrape("lane_exits_total", "reason=handshake"); n != 10 {
		t.Errorf("%v handshakes have left the lane", n)
	}
	if got := ask(publish("3", "x")); got != "[]" {
		t.Errorf("afterwards a publish is answered %q", got)
	}
	if n := b.comet(a).limits.conns.Load(); n != 0 {
		t.Errorf("%d connections are in use", n)
	}
}
