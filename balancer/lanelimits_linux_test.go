package balancer

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/testenv"
)

// inLane has something done in the first lane, and waits for it.
func (r *running) inLane(do func(*lane)) {
	r.t.Helper()
	done := make(chan struct{})
	l := r.lanes.all[0]
	r.until("the loop runs", func() bool { return l.loop.Post(func() { do(l); close(done) }) })
	<-done
}

// inLanes has something done in each lane, one after the other, and waits for it.
func (r *running) inLanes(do func(*lane)) {
	r.t.Helper()
	for _, l := range r.lanes.all {
		done := make(chan struct{})
		r.until("the loop runs", func() bool { return l.loop.Post(func() { do(l); close(done) }) })
		<-done
	}
}

// untilLane waits until a connection of a client in the lanes is as it should be.
func (r *running) untilLane(what string, is func(*laneClient) bool) {
	r.t.Helper()
	r.until(what, func() bool {
		some := false
		r.inLanes(func(l *lane) {
			for c := l.first; c != nil; c = c.next {
				some = some || is(c)
			}
		})
		return some
	})
}

// What the handler decides about leaves the lane before anything of it is sent.
func TestLaneParses(t *testing.T) {
	needsLanes(t)
	cfg := quick()
	cfg.Limits.MaxBody = 100
	b := listing(t, cfg, newFakeComet(t, "a", ok))
	message := publish("1", "x")
	for _, c := range []struct {
		what, request string
		why           exit
	}{
		{"a publish", laneRequest(message), exitNone},
		{"half a head", laneRequest(message)[:40], exitUnfinished},
		{"half a body", laneRequest(message)[:len(laneRequest(message))-1], exitUnfinished},
		{"two", laneRequest(message) + "P", exitPipelined},
		{"the last of its connection", laneRequest(message, "Connection: close\r\n"), exitOther},
		{"no length", strings.Replace(laneRequest(""), "Content-Length: 0\r\n", "", 1), exitOther},
		{"a client that asks first", laneRequest(message, "Expect: 100-continue\r\n"), exitOther},
		{"lines that end otherwise", strings.ReplaceAll(laneRequest(message), "\r\n", "\n"), exitOther},
		{"more than max-body", laneRequest(`[{"channel":"/a","data":"` + strings.Repeat("x", 100) + `"}]`), exitLarge},
		{"a head that does not end", laneRequest(message)[:20] + strings.Repeat("x", maxRequestHead), exitLarge},
		{"a handshake", laneRequest(handshake), exitHandshake},
	} {
		var why exit
		b.inLane(func(l *lane) {
			var rq exchange
			_, why = l.parse(&rq, testIP(1), []byte(c.request))
		})
		if why != c.why {
			t.Errorf("%s: %q, want %q", c.what, why, c.why)
		}
	}
}

// Connections to a comet that rest in a lane end when the comet closes them, is down,
// or when their time is over.
func TestLaneConnectionsThatRest(t *testing.T) {
	needsLanes(t)
	for _, c := range []struct {
		what  string
		limit time.Duration
		end   func(b *running, a *fakeComet)
	}{
		{"closed", time.Hour, func(_ *running, a *fakeComet) { a.server.SetKeepAlivesEnabled(false) }},
		{"down", time.Hour, func(b *running, a *fakeComet) { b.fleet.refused(b.comet(a)) }},
		{"idle", 50 * time.Millisecond, func(*running, *fakeComet) {}},
	} {
		a := newFakeComet(t, "a", ok)
		cfg := quick()
		cfg.Limits.MaxIdleTime, cfg.CheckInterval = c.limit, time.Hour
		b := listing(t, cfg, a)
		up := b.comet(a).up
		b.post(publish("1", "x"))
		if b.laned() != 1 {
			t.Fatalf("%s: not by the lane", c.what)
		}
		c.end(b, a)
		b.until(c.what, func() bool {
			n := make(chan int, len(b.lanes.all))
			b.lanes.each(func(l *lane) {
				if p := l.pools[up]; p != nil {
					n <- len(p.idle)
				} else {
					n <- 0
				}
			})
			sum := 0
			for range b.lanes.all {
				sum += <-n
			}
			return sum == 0 && up.kept.Load() == 0
		})
	}
}

// A comet that says that it closes a connection gets no more on it.
func TestLaneBelievesClose(t *testing.T) {
	needsLanes(t)
	var came atomic.Int32
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		came.Add(1)
		conn, _ := hijack(w) // it stays open
		t.Cleanup(func() { conn.Close() })
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]")
	})
	b := listing(t, quick(), a)
	for range 2 {
		if got := b.post(publish("1", "x")); got.status != 200 || got.body != "[]" {
			t.Fatalf("answered %d %q", got.status, got.body)
		}
	}
	if came.Load() != 2 || b.laned() != 2 {
		t.Errorf("%d came, %d by the lane", came.Load(), b.laned())
	}
}

// An answer of which a part comes has limits.upstream-timeout for the rest, also where
// its beginning could be awaited for longer.
func TestLaneAnswerStops(t *testing.T) {
	needsLanes(t)
	a := newFakeComet(t, "a", nil)
	a.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "[")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	cfg := quick()
	cfg.Limits.UpstreamTimeout, cfg.Limits.ConnectTimeout = 50*time.Millisecond, time.Hour
	b := listing(t, cfg, a)
	b.post(connect("1", "x"))
	if n := b.scrape("faults_total", "fault=broken"); n < 1 { // a poll is sent again
		t.Errorf("%v answers that broke", n)
	}
}

// A poll may be held for longer than other requests wait; while it is, it counts as
// held, and when its client hangs up it leaves its room at the comet.
func TestLaneHoldsPolls(t *testing.T) {
	needsLanes(t)
	var held atomic.Int32
	release := make(chan struct{}, 1)
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		held.Add(1)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	cfg := quick()
	cfg.Limits.ConnectTimeout = time.Hour
	b := listing(t, cfg, a)
	c := b.comet(a)
	conn := b.connection()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	postRaw(t, conn, connect("1", "x"))
	b.until("it is held", func() bool { return held.Load() == 1 && c.load.held.Load() == 1 && c.limits.inUse[usePoll].Load() == 1 })
	waits := make(chan time.Duration, len(b.lanes.all))
	b.lanes.each(func(l *lane) {
		if l.first != nil && l.first.wire != nil {
			waits <- l.first.wire.wait
		} else {
			waits <- 0
		}
	})
	longest := time.Duration(0)
	for range b.lanes.all {
		longest = max(longest, <-waits)
	}
	if longest != cfg.Limits.ConnectTimeout {
		t.Errorf("the answer may take %v", longest)
	}
	release <- struct{}{}
	if res, _ := httpAnswer(t, bufio.NewReader(conn)); res.StatusCode != 200 || held.Load() != 1 {
		t.Errorf("answered %d, sent %d times", res.StatusCode, held.Load())
	}
	b.until("it is over", func() bool { return c.load.held.Load() == 0 && c.limits.conns.Load() == 0 })
	postRaw(t, conn, connect("2", "x"))
	b.until("the next is held", func() bool { return c.load.held.Load() == 1 })
	conn.Close()
	b.until("its client is gone", func() bool { return c.load.held.Load() == 0 && c.load.busy.Load() == 0 })
	if n := c.limits.conns.Load(); n != 0 {
		t.Errorf("%d connections are in use", n)
	}
}

// Answers that are faults count against the comet, by whatever way they pass.
func TestLaneSeesFaults(t *testing.T) {
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	b := listing(t, quick(), a)
	b.post(publish("1", "x"))
	if n := b.scrape("faults_total", "fault=status"); n != 1 {
		t.Errorf("%v faults", n)
	}
}

// While the balancer stops, the answer to what is under way ends its connection, and
// says so; and a comet that does not notice that its poll is let go delays nothing.
func TestLaneStops(t *testing.T) {
	needsLanes(t)
	var held atomic.Int32
	release := make(chan struct{})
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		held.Add(1)
		if strings.Contains(string(body), "/meta/connect") {
			conn, _ := hijack(w)
			t.Cleanup(func() { conn.Close() })
			return
		}
		<-release
		io.WriteString(w, "[]")
	})
	b := listing(t, quick(), a)
	published, polls := b.connection(), b.connection()
	for _, conn := range []*net.TCPConn{published, polls} {
		conn.SetDeadline(time.Now().Add(20 * time.Second))
	}
	postRaw(t, published, publish("1", "x"))
	postRaw(t, polls, connect("2", "x"))
	b.until("both are under way", func() bool { return held.Load() == 2 })
	began := time.Now()
	stopped := make(chan struct{})
	go func() { b.stop(); close(stopped) }()
	res, body := httpAnswer(t, bufio.NewReader(polls))
	if took := time.Since(began); !strings.Contains(body, `"retry"`) || !strings.Contains(body, `"successful":true`) || took > testenv.Bound(2*releaseTime) {
		t.Errorf("the poll is answered %d %q after %v", res.StatusCode, body, took)
	}
	close(release)
	br := bufio.NewReader(published)
	if res, body := httpAnswer(t, br); body != "[]" || !res.Close {
		t.Errorf("answered %q, close %v", body, res.Close)
	}
	if _, err := br.ReadByte(); err != io.EOF {
		t.Errorf("the connection: %v", err)
	}
	<-stopped
}

// At the end of a drain polls are broken off, and nothing else.
func TestLaneLetsGoOfPollsOnly(t *testing.T) {
	needsLanes(t)
	var came atomic.Int32
	release := make(chan struct{})
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		came.Add(1)
		<-release
		io.WriteString(w, "[]")
	})
	b := listing(t, quick(), a)
	conn := b.connection()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	postRaw(t, conn, publish("1", "x"))
	b.until("it is under way", func() bool { return came.Load() == 1 })
	b.lanes.letGo(b.comet(a).up)
	b.inLane(func(*lane) {})
	close(release)
	if res, body := httpAnswer(t, bufio.NewReader(conn)); res.StatusCode != 200 || body != "[]" {
		t.Errorf("answered %d %q", res.StatusCode, body)
	}
	if n := b.scrape("lane_exits_total", "reason=failed"); n != 0 {
		t.Errorf("%v have left the lane", n)
	}
}

// A new connection has read-timeout for its first request, and each request for its
// rest, whatever idle-timeout is.
func TestLaneReadTimeout(t *testing.T) {
	needsLanes(t)
	cfg := quick()
	cfg.Limits.ReadTimeout, cfg.Limits.IdleTimeout = 100*time.Millisecond, time.Hour
	b := listing(t, cfg, newFakeComet(t, "a", ok))
	request := laneRequest(publish("1", "x"))
	for _, before := range []int{0, 1} {
		conn := b.connection()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		br := bufio.NewReader(conn)
		for range before {
			io.WriteString(conn, request)
			httpAnswer(t, br)
			io.WriteString(conn, request[:40])
		}
		if got, err := io.ReadAll(br); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 408") {
			t.Errorf("after %d requests: %q, %v", before, got, err)
		}
	}
}

// Half a head is no reason to keep a connection while others find no room, and an idle
// connection of one lane makes room for what another needs.
func TestLanesMakeRoom(t *testing.T) {
	needsLanes(t)
	cfg := quick()
	cfg.MaxConns = 1
	b := listing(t, cfg, newFakeComet(t, "a", ok))
	half := b.connection()
	io.WriteString(half, "POST /cometd HT")
	b.until("half a head is read", func() bool {
		reads := make(chan bool, len(b.lanes.all))
		b.lanes.each(func(l *lane) { reads <- l.first != nil && l.first.state == clientReads })
		some := false
		for range b.lanes.all {
			some = <-reads || some
		}
		return some
	})
	if err := getsPage(t, b.connection()); err != nil {
		t.Errorf("there is no room: %v", err)
	}
	shut(t, half)

	a := newFakeComet(t, "a", ok)
	cfg = quick()
	cfg.Limits.Comet.MaxConns, cfg.Limits.MaxIdleTime = 1, time.Hour
	b = listing(t, cfg, a)
	for i := range 2 * len(b.lanes.all) {
		conn := b.connection()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		postRaw(t, conn, publish(fmt.Sprint(i), "x"))
		httpAnswer(t, bufio.NewReader(conn))
		b.until("one connection to the comet is left", func() bool { return b.comet(a).up.conns() <= 1 })
	}
}

// The address that was found behind a name is not taken for known for ever.
func TestLaneForgetsNames(t *testing.T) {
	u := &upstream{}
	for _, c := range []struct {
		s  *seen
		ok bool
	}{
		{nil, false},
		{&seen{}, true}, // an address
		{&seen{at: time.Now()}, true},
		{&seen{at: time.Now().Add(-nameTime - time.Second)}, false},
	} {
		u.seen.Store(c.s)
		if _, ok := u.literal(); ok != c.ok {
			t.Errorf("%+v: %v", c.s, ok)
		}
	}
}
