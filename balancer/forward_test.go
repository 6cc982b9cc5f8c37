package balancer

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/sticky"
	"github.com/halleycomet/halley/internal/testenv"
)

// holding answers everything but /meta/connect, which it holds until the comet is
// killed.
func holding(c **fakeComet, held *atomic.Int32) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "/meta/connect") {
			dead := (*c).dead
			held.Add(1)
			<-dead
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		ok(w, r)
	}
}

// A comet is killed while it holds polls: each client is told to handshake, with the
// id of its own poll, at once.
func TestKillUnderHeldPollBound(t *testing.T) {
	var held atomic.Int32
	a := newFakeComet(t, "a", nil)
	a.serve(holding(&a, &held))
	other := newFakeComet(t, "b", ok)
	b := run(t, quick(), gossipOf(a, other))

	const clients = 20
	ids := make([]string, clients)
	answers := make([]*answer, clients)
	at := make([]time.Time, clients)
	var wg sync.WaitGroup
	for i := range clients {
		ids[i] = a.clientID()
		wg.Go(func() {
			answers[i], _ = b.do(http.MethodPost, "/cometd/connect", connect(fmt.Sprint("p", i), ids[i]))
			at[i] = time.Now()
		})
	}
	b.until("the polls are held", func() bool { return held.Load() == clients })
	killed := time.Now()
	a.kill()
	wg.Wait()
	for i, got := range answers {
		if got == nil {
			t.Fatal("no answer")
		}
		r := got.one(t)
		if !r.failed() || r.Error != "402::session_unknown" || r.ID != fmt.Sprint("p", i) || r.Channel != "/meta/connect" {
			t.Fatalf("got %s", got.body)
		}
		if r.Advice == nil || r.Advice.Reconnect != "handshake" || r.Advice.Interval == nil || r.Advice.Timeout == nil {
			t.Fatalf("advice in %s", got.body)
		}
		if d := at[i].Sub(killed); d > testenv.Bound(100*time.Millisecond) {
			t.Errorf("answered %v after the kill", d)
		}
	}
	// And what comes later: the poll with advice, everything else without.
	if r := b.post(connect("c", ids[0])).one(t); r.Error != "402::session_unknown" || r.Advice == nil {
		t.Errorf("a new poll: %+v", r)
	}
	if r := b.post(publish("d", ids[0])).one(t); r.Error != "402::session_unknown" || r.Advice != nil || len(r.Data) > 0 || !r.failed() {
		t.Errorf("a publish: %+v", r)
	}
	// The handshake goes to the comet that is left.
	if r := b.post(handshake).one(t); r.failed() || other.requests() == 0 {
		t.Errorf("handshake: %+v", r)
	}
}

// A comet that breaks connections but is still there gets its polls again.
func TestBlipKeepsSessions(t *testing.T) {
	var tries atomic.Int32
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) == 1 {
			conn, _ := hijack(w)
			reset(conn)
			return
		}
		ok(w, r)
	})
	b := run(t, quick(), gossipOf(a))
	if r := b.post(connect("1", a.clientID())).one(t); r.failed() || tries.Load() != 2 {
		t.Errorf("%+v after %d tries", r, tries.Load())
	}
}

// A comet that takes requests and breaks each time is not pestered.
func TestRetriesAreBounded(t *testing.T) {
	var tries atomic.Int32
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		tries.Add(1)
		conn, _ := hijack(w)
		reset(conn)
	})
	b := run(t, quick(), gossipOf(a))
	r := b.post(connect("1", a.clientID())).one(t)
	if r.Error != "502::comet_lost" || r.Advice == nil || r.Advice.Reconnect != "retry" || tries.Load() != maxAgain+1 {
		t.Errorf("%+v after %d tries", r, tries.Load())
	}
}

// A handshake is placed elsewhere when its comet refuses, breaks or is silent, and
// the cookie names the comet that answered.
func TestHandshakeMoves(t *testing.T) {
	for _, broken := range []string{"refused", "broken", "silent"} {
		t.Run(broken, func(t *testing.T) {
			release := make(chan struct{})
			a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
				if broken == "silent" {
					<-release
				}
				conn, _ := hijack(w)
				reset(conn)
			})
			t.Cleanup(func() { close(release) })
			other := newFakeComet(t, "b", ok)
			cfg := quick()
			cfg.CheckInterval = time.Hour // only requests find out
			cfg.Limits.UpstreamTimeout = 100 * time.Millisecond
			b := listing(t, cfg, a, other)
			if broken == "refused" {
				a.kill()
			}
			cookie := sticky.NewCookie(b.comet(a).nameTag)
			got := b.post(handshake, "Cookie: x=1; BAYEUX_BROWSER="+cookie)
			if r := got.one(t); r.failed() {
				t.Fatalf("%s", got.body)
			}
			set := got.header.Get("Set-Cookie")
			want := sticky.Repin(b.comet(other).nameTag, cookie[sticky.TagLen:])
			if !strings.HasPrefix(set, "BAYEUX_BROWSER="+want) {
				t.Errorf("Set-Cookie %q, want %s", set, want)
			}
		})
	}
}

// The clientId in the body decides, whatever the cookie says; a request of a session
// that nobody knows goes to a comet, which answers as it likes.
func TestAnswersOfCometsPassUnchanged(t *testing.T) {
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Comet", "a")
		w.WriteHeader(http.StatusInternalServerError)
		io.WriteString(w, "superseded")
	})
	other := newFakeComet(t, "b", ok)
	b := run(t, quick(), gossipOf(a, other))
	cookie := "Cookie: BAYEUX_BROWSER=" + sticky.NewCookie(b.comet(other).nameTag)
	for range 5 {
		if got := b.post(connect("1", a.clientID()), cookie); got.status != 500 || got.body != "superseded" || got.header.Get("X-Comet") != "a" {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if n := count(t, b.metrics.requests.WithLabelValues("a", string(ReasonClientID), "5xx")); n != 5 {
		t.Errorf("%v requests by clientId", n)
	}
	if got := b.post("this is not JSON", cookie); got.status != 200 || other.requests() != 1 {
		t.Errorf("what is no message goes by cookie: %d %q", got.status, got.body)
	}
}

// A dial that hangs is tried for a while, then the client is told to handshake.
func TestHangingDial(t *testing.T) {
	a, other := newFakeComet(t, "a", ok), newFakeComet(t, "b", ok)
	cfg := quick()
	cfg.CheckInterval = time.Hour
	cfg.Limits.DialTimeout, cfg.Limits.Redial = 30*time.Millisecond, 200*time.Millisecond
	b := run(t, cfg, gossipOf(a, other))
	var dials atomic.Int32
	b.comet(a).up.seen.Store(nil) // or a lane dials, which has no dial to replace
	b.comet(a).up.dial = func(_ origin, d time.Duration) (opened, error) {
		dials.Add(1)
		<-time.After(d)
		return opened{}, &net.OpError{Op: "dial", Err: timeoutError{}}
	}
	began := time.Now()
	r := b.post(connect("1", a.clientID())).one(t)
	took := time.Since(began)
	if r.Error != "402::session_unknown" || r.Advice == nil || r.Advice.Reconnect != "handshake" {
		t.Errorf("%+v", r)
	}
	if took < cfg.Limits.Redial || dials.Load() < 3 {
		t.Errorf("gave up after %v and %d dials", took, dials.Load())
	}
	if n := count(t, b.metrics.reroutes.WithLabelValues("dial_timeout")); n < 3 {
		t.Errorf("%v reroutes counted", n)
	}
}

type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// A comet that falls silent breaks no connection: once the checks find out, its
// polls are answered all the same.
func TestSilentCometReleasesPolls(t *testing.T) {
	var held atomic.Int32
	a := newFakeComet(t, "a", nil)
	a.serve(holding(&a, &held))
	cfg := quick()
	cfg.Rise = 1 << 30 // checks are answered, and shall not bring it back
	b := run(t, cfg, gossipOf(a, newFakeComet(t, "b", ok)))
	done := make(chan reply, 1)
	go func() {
		defer close(done)
		done <- b.post(connect("1", a.clientID())).one(t)
	}()
	b.until("held", func() bool { return held.Load() == 1 && (!withoutLanes || b.comet(a).up.awaited() == 1) })
	b.fleet.unreachable(b.comet(a), timeoutError{})
	if r := <-done; r.Error != "402::session_unknown" || r.Advice == nil || r.Advice.Reconnect != "handshake" {
		t.Errorf("%+v", r)
	}
}

// A comet that does not answer in time is answered for, and nothing is sent twice.
func TestTimeout(t *testing.T) {
	var held atomic.Int32
	release := make(chan struct{})
	a := newFakeComet(t, "a", func(http.ResponseWriter, *http.Request) { held.Add(1); <-release })
	t.Cleanup(func() { close(release) })
	cfg := quick()
	cfg.CheckInterval = time.Hour
	cfg.Limits.UpstreamTimeout, cfg.Limits.ConnectTimeout = 50*time.Millisecond, 50*time.Millisecond
	b := run(t, cfg, gossipOf(a))
	for _, body := range []string{publish("1", a.clientID()), connect("1", a.clientID())} {
		if r := b.post(body).one(t); r.Error != "502::comet_lost" || r.ID != "1" {
			t.Errorf("%+v", r)
		}
	}
	if held.Load() != 2 {
		t.Errorf("sent %d times", held.Load())
	}
	if n := count(t, b.metrics.answered.WithLabelValues(string(ReasonTimeout))); n != 2 {
		t.Errorf("%v timeouts counted", n)
	}
	if got := b.get("/page"); got.status != http.StatusGatewayTimeout {
		t.Errorf("a page: %d", got.status)
	}
}

// awaited is how many answers of a comet are waited for.
func (u *upstream) awaited() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.waiting)
}
