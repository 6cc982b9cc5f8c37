package balancer

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// nobody is a balancer whose only comet is down.
func nobody(t *testing.T, cfg Config) (*running, *fakeComet) {
	t.Helper()
	a := newFakeComet(t, "a", ok)
	b := listing(t, cfg, a)
	a.kill()
	b.untilState(a, Down)
	return b, a
}

func TestNoComet(t *testing.T) {
	b, _ := nobody(t, quick())
	for _, body := range []string{handshake, connect("1", "unknown"), publish("1", "unknown")} {
		r := b.post(body).one(t)
		if r.ID != "1" || !r.failed() || r.Error != "503::no_comet" || r.Advice == nil || r.Advice.Reconnect != "retry" || r.Advice.Timeout == nil {
			t.Fatalf("%s: %+v", body, r)
		}
		if ms := *r.Advice.Interval; ms < 2000 || ms > 5000 {
			t.Errorf("interval %d ms", ms)
		}
	}
	got := b.get("/index.html")
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || strings.Contains(got.body, "<") {
		t.Errorf("a page: %d %v %s", got.status, got.header, got.body)
	}
	if got := b.post("garbage"); got.status != http.StatusServiceUnavailable {
		t.Errorf("garbage: %d %s", got.status, got.body)
	}
}

// A request that finds no comet waits for one.
func TestRequestsAreHeld(t *testing.T) {
	cfg := quick()
	cfg.Limits.Hold = time.Minute
	b, a := nobody(t, cfg)
	before := a.requests()
	var wg sync.WaitGroup
	var replies [3]reply
	var page *answer
	for i := range replies {
		wg.Go(func() { replies[i] = b.post(handshake).one(t) })
	}
	wg.Go(func() { page = b.get("/page") })
	b.until("they wait", func() bool { return b.clients.len() >= 4 })
	a.start(a.addr)
	wg.Wait()
	for _, r := range replies {
		if r.failed() {
			t.Errorf("%+v", r)
		}
	}
	if page.status != 200 || a.requests() != before+4 {
		t.Errorf("a page: %d; %d requests", page.status, a.requests())
	}
}

// A session is lost, and no comet is there to handshake with: the poll waits for one,
// and the client is sent to it, or told to come when there may be one. Whatever else
// the client says is answered at once.
func TestLostSessionWithoutComet(t *testing.T) {
	lost := func(hold time.Duration) (*running, *fakeComet, string) {
		a, other := newFakeComet(t, "a", ok), newFakeComet(t, "b", ok)
		cfg := quick()
		cfg.Limits.Hold = hold
		b := run(t, cfg, gossipOf(a, other))
		a.kill()
		other.kill()
		b.untilState(a, Down)
		b.untilState(other, Down)
		return b, other, a.clientID()
	}
	told := func(t *testing.T, r reply, least, most int) {
		t.Helper()
		if r.ID != "1" || !r.failed() || r.Error != "402::session_unknown" || r.Advice == nil || r.Advice.Reconnect != "handshake" {
			t.Fatalf("%+v", r)
		}
		if ms := *r.Advice.Interval; ms < least || ms > most {
			t.Errorf("interval %d ms, want %d to %d", ms, least, most)
		}
	}
	t.Run("none comes", func(t *testing.T) {
		const hold = 200 * time.Millisecond
		b, _, id := lost(hold)
		for range 3 {
			began := time.Now()
			told(t, b.post(connect("1", id)).one(t), 2000, 5000)
			if took := time.Since(began); took < hold {
				t.Errorf("it waited %v", took)
			}
		}
	})
	t.Run("one comes", func(t *testing.T) {
		b, other, id := lost(time.Minute)
		done := make(chan *answer)
		go func() { got, _ := b.do(http.MethodPost, "/cometd", connect("1", id)); done <- got }()
		b.until("it waits", func() bool { return b.clients.len() == 1 })
		got := b.post(publish("2", id)).one(t)
		if got.Error != "402::session_unknown" || got.Advice != nil {
			t.Errorf("a publish: %+v", got)
		}
		select {
		case got := <-done:
			t.Fatalf("it did not wait: %+v", got)
		default:
		}
		other.start(other.addr)
		told(t, (<-done).one(t), 0, 0)
	})
	t.Run("the balancer stops", func(t *testing.T) {
		b, _, id := lost(time.Minute)
		done := make(chan *answer)
		go func() { got, _ := b.do(http.MethodPost, "/cometd", connect("1", id)); done <- got }()
		b.until("it waits", func() bool { return b.clients.len() == 1 })
		go b.stop()
		told(t, (<-done).one(t), 2000, 5000)
	})
}

// A poll that was held for long waits all the same when its comet, the last one, dies.
func TestHeldPollWaitsForAComet(t *testing.T) {
	var held atomic.Int32
	a := newFakeComet(t, "a", nil)
	a.serve(holding(&a, &held))
	other := newFakeComet(t, "b", ok)
	other.kill()
	const hold = 300 * time.Millisecond
	cfg := quick()
	cfg.Limits.Hold = hold
	b := run(t, cfg, gossipOf(a, other))
	b.untilState(other, Down)
	done := make(chan *answer)
	go func() { got, _ := b.do(http.MethodPost, "/cometd", connect("1", a.clientID())); done <- got }()
	b.until("it is held", func() bool { return held.Load() == 1 })
	<-time.After(hold)
	a.kill()
	b.untilState(a, Down)
	other.start(other.addr)
	r := (<-done).one(t)
	if r.Error != "402::session_unknown" || r.Advice == nil || r.Advice.Reconnect != "handshake" || *r.Advice.Interval != 0 {
		t.Errorf("%+v", r)
	}
}

// A balancer that does not know its comets yet answers for nobody.
func TestNotReady(t *testing.T) {
	a := newFakeComet(t, "a", ok)
	members := gossipOf(a)
	members.done = make(chan struct{})
	cfg := quick()
	cfg.Limits.Hold = time.Minute
	b, err := New(cfg, members)
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, b)
	done := make(chan reply)
	go func() { done <- r.post(connect("1", a.clientID())).one(t) }()
	r.until("it waits", func() bool { return r.clients.len() > 0 })
	if r.Ready() {
		t.Error("ready before the gossip is")
	}
	close(members.done)
	if got := <-done; got.failed() {
		t.Errorf("%+v", got)
	}
	if !r.Ready() {
		t.Error("not ready")
	}
}

// An upgrade that finds no comet is accepted, answered in Bayeux, and closed with
// 1013: after a refusal CometD's client would stay with long-polling.
func TestUpgradeWithoutComet(t *testing.T) {
	b, _ := nobody(t, quick())
	conn, resp, err := websocket.DefaultDialer.Dial("ws://"+b.addr+"/cometd", http.Header{"Origin": {"https://other.example"}})
	if err != nil {
		t.Fatalf("%v %+v", err, resp)
	}
	defer conn.Close()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(handshake)); err != nil {
		t.Fatal(err)
	}
	_, frame, err := conn.ReadMessage()
	if err != nil || !strings.Contains(string(frame), `"503::no_comet"`) || !strings.Contains(string(frame), `"reconnect":"retry"`) {
		t.Fatalf("%v %s", err, frame)
	}
	if _, _, err = conn.ReadMessage(); !websocket.IsCloseError(err, 1013) {
		t.Errorf("end: %v", err)
	}
	conn.Close()
	b.until("the socket is gone", func() bool { return b.clients.len() == 0 && b.ownSockets.Load() == 0 })
	// Of other paths it is a plain 503.
	_, resp, err = websocket.DefaultDialer.Dial("ws://"+b.addr+"/other", nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("another path: %v %+v", err, resp)
	}
}

// An upgrade waits for a comet like everything else.
func TestUpgradeIsHeld(t *testing.T) {
	cfg := quick()
	cfg.Limits.Hold = time.Minute
	b, a := nobody(t, cfg)
	a.serve(echoSocket)
	done := make(chan error)
	go func() {
		conn, _, err := websocket.DefaultDialer.Dial("ws://"+b.addr+"/cometd", nil)
		if err == nil {
			err = echoes(conn, "hello")
			conn.Close()
		}
		done <- err
	}()
	b.until("it waits", func() bool { return b.clients.len() == 1 })
	a.start(a.addr)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// One that holds nothing and sends nothing is a connection like another.
func TestSilentUpgradeWithoutComet(t *testing.T) {
	b, _ := nobody(t, quick())
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+b.addr+"/cometd", nil)
	if err != nil {
		t.Fatal(err)
	}
	reset(conn.NetConn())
	b.until("the socket is gone", func() bool { return b.clients.len() == 0 && b.ownSockets.Load() == 0 })
}
