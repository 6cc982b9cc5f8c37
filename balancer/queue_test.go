package balancer

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// gated holds each request but handshakes until it is told to answer, in the order in
// which they came.
type gated struct {
	*fakeComet
	came   chan string   // the id of the first message
	answer chan struct{} // lets the next one go
}

func newGated(t *testing.T, name string) *gated {
	g := &gated{came: make(chan string, 100), answer: make(chan struct{})}
	g.fakeComet = newFakeComet(t, name, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		if strings.Contains(string(body), "/meta/handshake") {
			w.Header().Set("Served-By", name)
			ok(w, r)
			return
		}
		_, id, _ := strings.Cut(string(body), `"id":"`)
		id, _, _ = strings.Cut(id, `"`)
		g.came <- id
		select {
		case <-g.answer:
			ok(w, r)
		case <-g.dead:
		}
	})
	return g
}

// What finds its comet at a limit waits in order until there is room; a handshake goes
// to another comet instead, and the comet is full until there is room again.
func TestQueueForAComet(t *testing.T) {
	a, other := newGated(t, "a"), newFakeComet(t, "b", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Served-By", "b")
		ok(w, r)
	})
	cfg := quick()
	cfg.Limits.Comet.MaxWaiting, cfg.Limits.QueueTime = 1, time.Minute
	b := run(t, cfg, gossipOf(a.fakeComet, other))
	c := b.comet(a.fakeComet)
	session := a.clientID()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if r := b.post(publish(fmt.Sprint(i), session)).one(t); r.failed() || r.ID != fmt.Sprint(i) {
				t.Errorf("publish %d: %+v", i, r)
			}
		})
		b.until("it is there, or queues", func() bool {
			return c.limits.inUse[useRequest].Load() == 1 && c.limits.waiters.Load() == int64(i)
		})
	}
	b.untilState(a.fakeComet, Full)
	gauges := gathered(t, cometGauges{b.fleet})
	for name, want := range map[string]float64{"a request": 1, "a poll": 0, "a": 3, "a full": 1, "b healthy": 1} {
		if n, there := gauges[name]; !there || n != want {
			t.Errorf("gauges: %s is %v", name, n)
		}
	}
	for range 20 {
		if got := b.post(handshake); got.header.Get("Served-By") != "b" || got.one(t).failed() {
			t.Errorf("a new session: %s %s", got.header.Get("Served-By"), got.body)
		}
	}
	for i := range 4 {
		if id := <-a.came; id != fmt.Sprint(i) {
			t.Errorf("publish %s came in place of %d", id, i)
		}
		a.answer <- struct{}{}
	}
	wg.Wait()
	b.untilState(a.fakeComet, Healthy)
	if n := count(t, b.metrics.queues.WithLabelValues("a", string(queueGranted))); n != 3 {
		t.Errorf("%v had to queue", n)
	}
	if n := b.scrape("queue_seconds"); n != 3 {
		t.Errorf("%v times were taken", n)
	}
	if n := c.limits.conns.Load(); n != 0 {
		t.Errorf("%d slots are taken", n)
	}
}

// gathered is what a collector tells, by the values of the labels.
func gathered(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	ch := make(chan prometheus.Metric, 1000)
	c.Collect(ch)
	close(ch)
	all := map[string]float64{}
	for m := range ch {
		var d dto.Metric
		if err := m.Write(&d); err != nil {
			t.Fatal(err)
		}
		var labels []string
		for _, l := range d.Label {
			labels = append(labels, l.GetValue())
		}
		all[strings.Join(labels, " ")] = d.GetGauge().GetValue() + d.GetCounter().GetValue()
	}
	return all
}

// A handshake that is pinned to a comet at its limit, before anybody noticed that it is
// full, goes to another, and its cookie with it.
func TestHandshakeGoesAside(t *testing.T) {
	a, other := newGated(t, "a"), newGated(t, "b")
	cfg := quick()
	cfg.Limits.Comet.MaxConns = 1
	b := run(t, cfg, gossipOf(a.fakeComet, other.fakeComet))
	s, _ := b.comet(a.fakeComet).limits.enter(useTunnel)
	cookie := b.fleet.options.mint(b.comet(a.fakeComet).nameTag)
	got := b.post(handshake, "Cookie: BAYEUX_BROWSER="+cookie)
	if got.header.Get("Served-By") != "b" || !strings.Contains(got.header.Get("Set-Cookie"), string(b.comet(other.fakeComet).nameTag)) {
		t.Errorf("%v %s", got.header, got.body)
	}
	if n := count(t, b.metrics.queues.WithLabelValues("a", string(queueAside))); n != 1 {
		t.Errorf("%v went aside", n)
	}
	// With nowhere else to go it waits like all the rest.
	s2, _ := b.comet(other.fakeComet).limits.enter(useTunnel)
	done := make(chan *answer)
	go func() { done <- b.post(handshake, "Cookie: BAYEUX_BROWSER="+cookie) }()
	b.until("it queues", func() bool {
		return b.comet(a.fakeComet).limits.waiters.Load()+b.comet(other.fakeComet).limits.waiters.Load() == 1
	})
	s.leave()
	s2.leave()
	if r := (<-done).one(t); r.failed() {
		t.Errorf("%+v", r)
	}
}

// Whose time in the queue is over, and who finds it full, is told to come later: in
// Bayeux each message of the batch, also as a script; anything else by 503.
func TestQueueTimeIsOver(t *testing.T) {
	a := newGated(t, "a")
	cfg := quick()
	cfg.Origins = []string{"https://page.example"}
	cfg.Limits.Comet.MaxConns, cfg.Limits.QueueTime = 1, 20*time.Millisecond
	b := run(t, cfg, gossipOf(a.fakeComet))
	s, _ := b.comet(a.fakeComet).limits.enter(useTunnel)
	defer s.leave()
	session := a.clientID()
	batch := fmt.Sprintf(`[{"id":"p","channel":"/chat","clientId":%[1]q,"data":1},{"id":"c","channel":"/meta/connect","clientId":%[1]q,"connectionType":"long-polling"}]`, session)
	check := func(name string, got *answer) {
		t.Helper()
		if len(got.replies) != 2 || got.header.Get("Access-Control-Allow-Origin") != "https://page.example" {
			t.Fatalf("%s: %d %v %s", name, got.status, got.header, got.body)
		}
		for i, id := range []string{"p", "c"} {
			r := got.replies[i]
			if r.ID != id || !r.failed() || r.Error != "503::no_comet" || r.Advice == nil || r.Advice.Reconnect != "retry" || *r.Advice.Interval < 1000 || *r.Advice.Interval > 5000 {
				t.Errorf("%s: %s", name, got.body)
			}
		}
	}
	if r := b.post(connect("1", session)).one(t); *r.Advice.Interval > 2500 {
		t.Errorf("who has queued comes back after %d ms", *r.Advice.Interval)
	}
	check("over time", b.post(batch, "Origin: https://page.example"))
	if got := b.get("/cometd?jsonp=cb&message=" + url.QueryEscape(connect("1", session))); !strings.HasPrefix(got.body, "/**/cb([{") {
		t.Errorf("a script: %s", got.body)
	}
	if got := b.get("/page"); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("a page: %d %v", got.status, got.header)
	}
	if n := count(t, b.metrics.answered.WithLabelValues(string(ReasonQueueTimeout))); n != 4 {
		t.Errorf("%v were told so", n)
	}

	next := cfg
	next.Limits.Comet.MaxQueue = 0
	if _, _, err := b.Reload(next); err != nil {
		t.Fatal(err)
	}
	check("no place in the queue", b.post(batch, "Origin: https://page.example"))
	if n := count(t, b.metrics.answered.WithLabelValues(string(ReasonQueueFull))); n != 1 {
		t.Errorf("%v were told so", n)
	}
}

// A comet that goes down sets free what queues for it: a poll is told to handshake. A
// client that hangs up gives its place up; so does each poll when the balancer stops.
func TestQueueEnds(t *testing.T) {
	a := newGated(t, "a")
	other := newFakeComet(t, "b", ok)
	cfg := quick()
	cfg.Limits.Comet.MaxHeld, cfg.Limits.QueueTime = 1, time.Minute
	rise := cfg.Rise
	cfg.Rise = 1 << 30 // one that is down stays away, or its poll would queue once more
	b := run(t, cfg, gossipOf(a.fakeComet, other))
	c := b.comet(a.fakeComet)
	queueing := func(n int64) {
		t.Helper()
		b.until(fmt.Sprint(n, " queue"), func() bool { return c.limits.waiters.Load() == n })
	}
	s, _ := c.limits.enter(usePoll)
	conn := b.connection()
	postRaw(t, conn, connect("1", a.clientID()))
	queueing(1)
	conn.Close()
	queueing(0)
	if n := count(t, b.metrics.queues.WithLabelValues("a", string(queueGone))); n != 1 {
		t.Errorf("%v hung up", n)
	}

	poll := func() chan reply {
		done := make(chan reply, 1)
		go func() {
			defer close(done)
			done <- b.post(connect("1", a.clientID())).one(t)
		}()
		return done
	}
	done := poll()
	queueing(1)
	b.fleet.refused(c)
	if r := <-done; r.Error != "402::session_unknown" || r.Advice.Reconnect != "handshake" {
		t.Errorf("its comet is down: %+v", r)
	}
	cfg.Rise = rise
	if _, _, err := b.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	b.untilState(a.fakeComet, Healthy)

	done = poll()
	queueing(1)
	go b.stop()
	if r := <-done; r.failed() || r.Advice == nil || r.Advice.Reconnect != "retry" {
		t.Errorf("the balancer stops: %+v", r)
	}
	s.leave()
}

// When a reload raises the limit, those that queue have the room.
func TestQueueAfterReload(t *testing.T) {
	a := newGated(t, "a")
	cfg := quick()
	cfg.Comets = []string{a.url()}
	cfg.Limits.Comet.MaxWaiting, cfg.Limits.QueueTime = 1, time.Minute
	b := run(t, cfg, nil)
	c := b.comet(a.fakeComet)
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() { b.post(publish(fmt.Sprint(i), "x")) })
		b.until("it is there, or queues", func() bool {
			return c.limits.inUse[useRequest].Load() == 1 && c.limits.waiters.Load() == int64(i)
		})
	}
	cfg.Limits.Comet.MaxWaiting = 2
	if _, _, err := b.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	b.until("both are there", func() bool { return c.limits.inUse[useRequest].Load() == 2 })
	for range 2 {
		<-a.came
		a.answer <- struct{}{}
	}
	wg.Wait()
}

// Room that a poll is granted in the very moment in which it ends is not lost, and is had
// by nobody who has ended.
func TestQueueEndsAsRoomComes(t *testing.T) {
	over := make(chan struct{})
	close(over)
	t.Run("stopping", func(t *testing.T) { testQueueEndsAsRoomComes(t, queueStopping, &Balancer{stopping: over}, nil) })
	t.Run("gone", func(t *testing.T) {
		testQueueEndsAsRoomComes(t, queueGone, &Balancer{}, &vigil{gone: over, cancel: func() {}})
	})
}

func testQueueEndsAsRoomComes(t *testing.T, end queueEnd, b *Balancer, v *vigil) {
	g := testGate(CometLimits{MaxHeld: 1, MaxQueue: 1})
	c := &comet{limits: g}
	ends := map[queueEnd]int{}
	for n := 0; ends[end] == 0 || ends[queueGranted] == 0; n++ {
		if n == 1000 {
			t.Fatalf("the ends are %v", ends)
		}
		before, _ := g.enter(usePoll)
		turn, ok := g.queue(usePoll)
		if !ok {
			t.Fatal("no place in the queue")
		}
		before.leave()
		rq := &exchange{conf: &inForce{Config: DefaultConfig()}}
		rq.out.held, rq.out.vigil = true, v
		s, how := b.wait(rq, c, turn)
		ends[how]++
		if got := s != (slot{}); got != (how == queueGranted) || g.inUse[usePoll].Load() != map[bool]int64{true: 1}[got] {
			t.Fatalf("%s: it has room: %v; taken are %d", how, got, g.inUse[usePoll].Load())
		}
		s.leave()
	}
}

// The status tells what a comet is used for.
func TestStatusOfUse(t *testing.T) {
	a := newGated(t, "a")
	held := a.handler.Load()
	a.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			echoSocket(w, r)
			return
		}
		(*held)(w, r)
	})
	cfg := quick()
	cfg.Limits.Comet.MaxWaiting, cfg.Limits.QueueTime = 1, time.Minute
	b := run(t, cfg, gossipOf(a.fakeComet))
	session := a.clientID()
	conn := b.dial("/cometd")
	if err := echoes(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, body := range []string{connect("1", session), publish("2", session), publish("3", session), publish("4", session)} {
		wg.Go(func() { b.post(body) })
	}
	b.until("the status tells so", func() bool {
		s := b.Comets()[0]
		return s.Held == 1 && s.Tunnels == 1 && s.Queue == 2 && s.Connections == 3
	})
	for range 4 {
		<-a.came
		a.answer <- struct{}{}
	}
	wg.Wait()
	conn.Close()
	b.until("the status tells so", func() bool {
		s := b.Comets()[0]
		return s.Held == 0 && s.Tunnels == 0 && s.Queue == 0
	})
}
