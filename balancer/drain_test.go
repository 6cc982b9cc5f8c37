package balancer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// fleetOfTwo is a balancer in front of a server a, to be drained, and another, b.
// Requests with the cookie go to a.
func fleetOfTwo(t *testing.T, cfg Config, a *server) (r *running, left, other *fakeComet, cookie string) {
	t.Helper()
	left, other = newFakeComet(t, "a", a.ServeHTTP), newFakeComet(t, "b", newServer(time.Minute).ServeHTTP)
	r = lanesOr(t, true, cfg, left, other)
	return r, left, other, r.cookieOf(left)
}

// lanesOr is listing, with lanes or by the handler alone, once all comets take clients.
func lanesOr(t *testing.T, lanes bool, cfg Config, comets ...*fakeComet) *running {
	t.Helper()
	var r *running
	if lanes {
		r = listing(t, cfg, comets...)
	} else {
		for _, c := range comets {
			cfg.Comets = append(cfg.Comets, c.url())
		}
		b, err := New(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		b.lanes = nil
		r = start(t, b)
	}
	r.until("all comets take clients", func() bool { return r.fleet.snapshot().takers() == len(comets) })
	return r
}

// cookieOf leads to a comet.
func (r *running) cookieOf(c *fakeComet) string {
	return "Cookie: BAYEUX_BROWSER=" + string(r.comet(c).nameTag) + "0123456789ABCDEFGH"
}

func (r *running) drain(c *fakeComet) {
	r.t.Helper()
	if err := r.Drain("http://"+c.addr, false); err != nil {
		r.t.Fatal(err)
	}
	r.until("it drains", func() bool { return r.comet(c).drain.Load() != nil })
}

func (r *running) progress(c *fakeComet) *DrainStatus {
	r.t.Helper()
	for _, s := range r.Comets() {
		if s.URL == "http://"+c.addr {
			return s.Drain
		}
	}
	r.t.Fatalf("%s is not known", c.addr)
	return nil
}

func movedReply(r reply) bool {
	return r.failed() && r.Error == "402::session_unknown" && r.Advice != nil && r.Advice.Reconnect == "handshake" && r.Advice.Timeout != nil
}

// A poll of a comet that drains is answered at once, with what waits, and with a
// connect reply that moves its client; in each of the forms in which clients poll.
func TestDrainMovesPolls(t *testing.T) {
	const connectMsg = `{"id":"7","channel":"/meta/connect","clientId":"s","connectionType":"long-polling"}`
	for _, c := range []struct {
		name, method, path, contentType, body string
		waits                                 string // a message that waits
		stays                                 bool   // the client is not moved by this answer
		replies                               int
	}{
		{name: "JSON", body: "[" + connectMsg + "]", replies: 1},
		{name: "a single object", body: connectMsg, replies: 1},
		{name: "something waits", body: connectMsg, waits: "hello", replies: 2},
		{name: "an advice of its own", body: strings.Replace(connectMsg, `"id"`, `"advice":{"timeout":9000,"x":1},"id"`, 1), replies: 1},
		{name: "a batch", body: `[{"id":"6","channel":"/news","clientId":"s","data":1},` + connectMsg + `]`, replies: 2},
		{name: "a form", contentType: "application/x-www-form-urlencoded", body: "x=1&message=" + url.QueryEscape(connectMsg), replies: 1},
		{name: "JSONP", method: http.MethodGet, path: "/cometd/connect?jsonp=cb&message=" + url.QueryEscape("["+connectMsg+"]") + "&_=1", replies: 1},
		{name: "JSONP, something waits", method: http.MethodGet, path: "/cometd?message=" + url.QueryEscape("["+connectMsg+"]") + "&jsonp=cb", waits: "a)b(", replies: 2},
		{name: "acknowledging", body: strings.Replace(connectMsg, `"id"`, `"ext":{"ack":3},"id"`, 1), replies: 1},
		{name: "acknowledging, something waits", body: strings.Replace(connectMsg, `"id"`, `"ext":{"ack":3},"id"`, 1), waits: "hello", stays: true, replies: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // each waits for the end of its session
			s := newServer(time.Minute, "s")
			b, left, _, cookie := fleetOfTwo(t, quick(), s)
			b.drain(left)
			if c.waits != "" {
				s.queue("s", c.waits)
			}
			method, path, contentType := c.method, c.path, c.contentType
			if method == "" {
				method, path = http.MethodPost, "/cometd"
			}
			if contentType == "" {
				contentType = "application/json"
			}
			got, err := b.do(method, path, c.body, cookie, "Content-Type: "+contentType, "Accept-Encoding: gzip")
			if err != nil || got.status != 200 || got.header.Get("X-Server") != "here" {
				t.Fatalf("%v %+v", err, got)
			}
			body := got.body
			if method == http.MethodGet {
				var wrapped bool
				body, wrapped = strings.CutPrefix(body, "/**/cb(")
				if body = strings.TrimSuffix(body, ");"); !wrapped {
					t.Fatalf("%s", got.body)
				}
			}
			var replies []reply
			if err := json.Unmarshal([]byte(body), &replies); err != nil || len(replies) != c.replies {
				t.Fatalf("%v: %s", err, body)
			}
			last := replies[len(replies)-1]
			if last.ID != "7" || movedReply(last) == c.stays {
				t.Errorf("%s", body)
			}
			if c.waits != "" && string(replies[0].Data) != fmt.Sprintf("%q", c.waits) {
				t.Errorf("what waited: %s", body)
			}
			s.note(func() {
				if s.timeouts[0] != "0" || s.encoded != 0 {
					t.Errorf("timeout %q, %d accept an encoding", s.timeouts[0], s.encoded)
				}
				if strings.Contains(c.name, "acknowledging") && s.acks[0] != "3" {
					t.Errorf("acknowledged %q", s.acks[0])
				}
			})
			if c.stays {
				if got := b.post(c.body, cookie).one(t); !movedReply(got) {
					t.Errorf("then: %+v", got)
				}
			}
			if st := b.progress(left); st == nil || st.Polls != 1 || st.Forced != 0 {
				t.Errorf("progress %+v", st)
			}
			// Until a little later the session lives: what was on its way is taken.
			if r := b.post(publish("8", "s"), cookie).one(t); r.failed() {
				t.Errorf("a publish that was on its way: %+v", r)
			}
			b.until("the session is ended", func() bool { return len(s.parted()) == 1 })
		})
	}
}

// A poll that is held when the drain begins returns by itself, and the next one moves
// its client. At the end of the time those that are held are asked for what waits.
func TestDrainAndHeldPolls(t *testing.T) {
	for _, c := range []struct {
		name   string
		hold   time.Duration
		body   string
		forced int64
		alone  bool // by the handler, without lanes
	}{
		{"returns by itself", 300 * time.Millisecond, connect("1", "s"), 0, false},
		{"is asked at the end", time.Minute, connect("1", "s"), 0, false},
		{"is asked at the end, without a lane", time.Minute, connect("1", "s"), 0, true},
		{"is pushed out", time.Minute, `[` + strings.Trim(publish("0", "s"), "[]") + `,` + strings.Trim(connect("1", "s"), "[]") + `]`, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := quick()
			cfg.DrainTime = time.Second
			s := newServer(c.hold, "s")
			left := newFakeComet(t, "a", s.ServeHTTP)
			b := lanesOr(t, !c.alone, cfg, left, newFakeComet(t, "b", newServer(time.Minute).ServeHTTP))
			cookie := b.cookieOf(left)
			answers := make(chan *answer, 1)
			go func() { answers <- b.post(c.body, cookie) }()
			b.until("it is held", func() bool { return b.comet(left).load.held.Load() == 1 })
			b.drain(left)
			got := <-answers
			last := got.replies[len(got.replies)-1]
			if c.hold < time.Second {
				if last.failed() {
					t.Fatalf("%s", got.body)
				}
				last = b.post(c.body, cookie).one(t)
			}
			if !movedReply(last) {
				t.Errorf("%+v", last)
			}
			if st := b.progress(left); st.Polls != 1 || st.Forced != c.forced {
				t.Errorf("progress %+v", st)
			}
			b.until("it is done", func() bool { return b.progress(left).Done })
			if c.hold < time.Second {
				return
			}
			s.note(func() { s.queues["late"] = nil })
			go func() { _, _ = b.do(http.MethodPost, "/cometd", connect("1", "late"), cookie) }()
			b.until("it is not done with one who is late", func() bool { return !b.progress(left).Done })
		})
	}
}

// No more clients have their turn in a second than drain-rate; the others are held for
// a little while.
func TestDrainRate(t *testing.T) {
	cfg := quick()
	cfg.DrainRate = 1
	s := newServer(time.Minute, "s", "r")
	b, left, _, cookie := fleetOfTwo(t, cfg, s)
	b.drain(left)
	if r := b.post(connect("1", "s"), cookie).one(t); !movedReply(r) {
		t.Errorf("the first: %+v", r)
	}
	s.queue("r", "hello")
	if got := b.post(connect("1", "r"), cookie); strings.Contains(got.body, "402") {
		t.Errorf("the second: %s", got.body)
	}
	s.note(func() {
		if ms := s.timeouts[1]; len(ms) != 4 || ms < "1000" || ms > "3000" {
			t.Errorf("held for %s ms", ms)
		}
	})
}

func TestDrainClosesTunnels(t *testing.T) {
	b, left, _, cookie := fleetOfTwo(t, quick(), newServer(time.Minute))
	conn := b.dial("/cometd", cookie)
	if err := echoes(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	b.drain(left)
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, 1012) {
		t.Errorf("closed with %v", err)
	}
	b.until("it is counted", func() bool {
		return b.progress(left).Tunnels == 1 && b.scrape("moved_total", "how=tunnel") == 1
	})
	// The next one goes elsewhere.
	other := b.dial("/cometd", cookie)
	if err := echoes(other, "hello"); err != nil || b.comet(left).tunnels.Len() != 0 {
		t.Errorf("%v, %d", err, b.comet(left).tunnels.Len())
	}
}

// A session that only its client's address leads to stays with its comet until it is
// moved, and then goes where the others go.
func TestDrainByAddress(t *testing.T) {
	cfg := quick()
	cfg.Keys = Keys{IP: true}
	servers := map[string]*server{}
	var comets []*fakeComet
	for range 2 {
		s := newServer(time.Minute)
		c := newFakeComet(t, "x", s.ServeHTTP)
		servers[c.addr] = s
		comets = append(comets, c)
	}
	b := listing(t, cfg, comets...)
	id := b.post(handshake).one(t).ClientID
	home := comets[0]
	servers[home.addr].mu.Lock()
	_, here := servers[home.addr].queues[id]
	servers[home.addr].mu.Unlock()
	if !here {
		home = comets[1]
	}
	servers[home.addr].note(func() { servers[home.addr].queues["another"] = nil })
	b.drain(home)
	if r := b.post(publish("1", id)).one(t); r.failed() {
		t.Fatalf("a publish while it drains: %+v", r)
	}
	if r := b.post(connect("2", id)).one(t); !movedReply(r) {
		t.Fatalf("%+v", r)
	}
	moved := b.post(handshake).one(t).ClientID
	if r := b.post(publish("3", moved)).one(t); r.failed() {
		t.Errorf("a publish after the move: %+v", r)
	}
	// So does a poll, as its client sent it: it is held there.
	away := comets[0]
	if away == home {
		away = comets[1]
	}
	answers := make(chan *answer, 1)
	go func() { answers <- b.post(connect("4", moved)) }()
	b.until("it is held", func() bool { return b.comet(away).load.held.Load() == 1 })
	servers[away.addr].queue(moved, "hello")
	if got := <-answers; len(got.replies) != 2 || got.replies[1].failed() {
		t.Errorf("a poll after the move: %s", got.body)
	}
	servers[away.addr].note(func() {
		if ms := servers[away.addr].timeouts; len(ms) != 1 || ms[0] != "" {
			t.Errorf("timeouts %q", ms)
		}
	})
	servers[home.addr].note(func() {
		if _, there := servers[home.addr].queues[moved]; there && moved != id {
			t.Error("the new session is where the old one was")
		}
	})
	if n := b.scrape("reroutes_total", "reason=stranger"); n != 2 {
		t.Errorf("%v strangers", n)
	}
}

// Undrained, a comet serves as before.
func TestUndrain(t *testing.T) {
	s := newServer(50*time.Millisecond, "s")
	b, left, other, cookie := fleetOfTwo(t, quick(), s)
	b.drain(left)
	name := "http://" + left.addr
	if err := b.Undrain(strings.Replace(name, "http", "HTTP", 1)); err != nil {
		t.Fatal(err)
	}
	b.until("the drain has ended", func() bool { return b.comet(left).drain.Load() == nil })
	if r := b.post(connect("1", "s"), cookie).one(t); r.failed() || !b.comet(left).is(Healthy) {
		t.Errorf("%+v, %v", r, b.comet(left).State())
	}
	s.note(func() {
		if s.timeouts[0] != "" {
			t.Errorf("timeout %q", s.timeouts[0])
		}
	})

	for _, c := range []struct {
		what string
		do   func() error
		want error
	}{
		{"drain of nobody", func() error { return b.Drain("nobody", false) }, ErrNoSuchComet},
		{"undrain of nobody", func() error { return b.Undrain("nobody") }, ErrNoSuchComet},
		{"undrain of what does not drain", func() error { return b.Undrain(name) }, nil},
		{"drain", func() error { return b.Drain(name, false) }, nil},
		{"drain again", func() error { return b.Drain(name, false) }, nil},
		{"drain of the last", func() error { return b.Drain("http://"+other.addr, false) }, ErrLastComet},
		{"the same, forced", func() error { return b.Drain("http://"+other.addr, true) }, nil},
	} {
		if err := c.do(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
	// There is nowhere to go: nobody is moved.
	b.until("both drain", func() bool { return b.comet(other).drain.Load() != nil && b.comet(left).drain.Load() != nil })
	if r := b.post(connect("2", "s"), cookie).one(t); r.failed() {
		t.Errorf("moved to nowhere: %+v", r)
	}
}
