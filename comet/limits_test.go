package comet

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// subscribeMany subscribes to names made of format, 500 at a time.
func (f *fixture) subscribeMany(id, format string, n int) (last string) {
	for i := 0; i < n; i += 500 {
		var names []string
		for k := i; k < min(n, i+500); k++ {
			names = append(names, fmt.Sprintf(`"`+format+`"`, k))
		}
		last = f.post(id, `[{"channel":"/meta/subscribe","clientId":"%","subscription":[`+strings.Join(names, ",")+`]}]`)
	}
	return last
}

func TestLimitOfSubscriptions(t *testing.T) {
	f := start(t, nil)
	id := f.connected()
	mustHold(t, f.subscribeMany(id, "/c/%d", 1000), `"successful":true`)
	mustHold(t, f.post(id, `[{"channel":"/meta/subscribe","clientId":"%","subscription":"/more"}]`), `"successful":false,"error":"403:denied_by_limit:subscribe_denied"`)
	mustHold(t, f.post(id, `[{"channel":"/meta/subscribe","clientId":"%","subscription":"/c/7"}]`), `"successful":true`) // has it
	f.post(id, `[{"channel":"/meta/unsubscribe","clientId":"%","subscription":"/c/7"}]`)
	mustHold(t, f.post(id, `[{"channel":"/meta/subscribe","clientId":"%","subscription":"/more"}]`), `"successful":true`)
}

func TestLimitOfChannels(t *testing.T) {
	f := start(t, func(c *Config) { c.MaxChannels = 2 })
	a, b := f.connected("/a", "/b"), f.connected("/a")
	mustHold(t, f.post(b, `[{"channel":"/meta/subscribe","clientId":"%","subscription":"/c"}]`), "403:denied_by_limit:create_denied")
	f.post(a, `[{"channel":"/meta/unsubscribe","clientId":"%","subscription":"/b"}]`)
	mustHold(t, f.post(b, `[{"channel":"/meta/subscribe","clientId":"%","subscription":"/c"}]`), `"successful":true`)
}

// Other comets speak for many clients, and are not limited.
func TestPeersAreNotLimited(t *testing.T) {
	cfg := testConfig()
	cfg.MaxChannels = 10
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	peer := s.newSession("p", true)
	for i := range 2000 {
		if _, bad := s.channels.subscribe(peer, true, fmt.Sprintf("/c/%d", i)); bad != "" {
			t.Fatal(bad)
		}
	}
}

// Names of service channels, of channels that nobody listens to, and subscriptions to
// service channels leave nothing behind, however many they are; and too many
// subscriptions are an error and no memory.
func TestMillionsOfNamesFromOneClient(t *testing.T) {
	f := start(t, nil)
	id := f.connected()
	s := f.session(id)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	flood := func(from, to int) {
		for i := from; i < to; i++ {
			x := &exchange{srv: f.Server, session: s}
			x.handle([]bayeux.Message{
				{Channel: fmt.Sprintf("/service/%d", i), ClientID: id, Data: "1"},
				{Channel: fmt.Sprintf("/nobody/%d", i), ClientID: id, Data: "1", Raw: "{}"},
				{Channel: bayeux.MetaSubscribe, ClientID: id, Subscription: bayeux.RawJSON(fmt.Sprintf(`"/service/%d"`, i))},
				{Channel: bayeux.MetaSubscribe, ClientID: id, Subscription: bayeux.RawJSON(fmt.Sprintf(`"/c/%d"`, i))},
			})
			last := x.replies[3]
			if (i < 1000) != last.Successful || i >= 1000 && last.Error != "403:denied_by_limit:subscribe_denied" {
				t.Fatalf("subscription %d: %+v", i, last)
			}
		}
	}
	flood(0, 2000)
	before := heap()
	flood(2000, 52_000)
	if grown := int64(heap()) - int64(before); grown > 1<<20 {
		t.Errorf("200,000 messages leave %d bytes behind", grown)
	}
	if n := s.subscriptions.len(); n != 1000 {
		t.Errorf("%d subscriptions", n)
	}
}

func TestLimitOfSessions(t *testing.T) {
	f := start(t, func(c *Config) { c.MaxSessions = 2 })
	id := f.handshake()
	f.handshake()
	mustBe(t, f.request("POST", "/cometd", `[{"channel":"/meta/handshake"}]`).body,
		`[{"channel":"/meta/handshake","successful":false,"error":"403::handshake_denied","advice":{"reconnect":"handshake","interval":5000,"timeout":20000}}]`)
	if f.refusals(RefusedFull) != 1 {
		t.Error("not counted")
	}
	f.post(id, `[{"channel":"/meta/disconnect","clientId":"%"}]`)
	f.handshake()
}

func TestDeepJSONIsRefused(t *testing.T) {
	f := startTCP(t, nil)
	deep := `[{"channel":"/b","data":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}]`
	if r := f.request("POST", "/cometd", deep); r.status != 400 || f.refusals(RefusedDepth) != 1 {
		t.Errorf("%d: %s", r.status, r.body)
	}
	c := f.ws()
	c.say(deep)
	if code := c.closed(); code != 1007 || f.refusals(RefusedDepth) != 2 {
		t.Errorf("closed with %d", code)
	}
}

func TestLongNamesAreRefused(t *testing.T) {
	f := start(t, nil)
	id, long := f.connected(), "/"+strings.Repeat("a", bayeux.MaxChannelLen)
	mustHold(t, f.post(id, `[{"channel":"`+long+`","clientId":"%","data":1}]`), "405::channel_invalid")
	mustHold(t, f.post(id, `[{"channel":"/meta/subscribe","clientId":"%","subscription":"`+long+`"}]`), "403::subscription_invalid")
}

// A session whose client says nothing for MaxProcessing while its connect is held is
// swept; any message begins that time anew.
func TestMaxProcessing(t *testing.T) {
	inBubbleOf(t, func(c *Config) { c.MaxProcessing = 30 * time.Second }, func(t *testing.T, s *Server) {
		session := shake(t, s)
		session.connect(polled)
		h, released := newPoll()
		session.arm(h, time.Hour)
		time.Sleep(20 * time.Second)
		say(t, s, session, `[{"channel":"/b","data":1}]`)
		time.Sleep(29 * time.Second)
		synctest.Wait()
		if s.Sessions() != 1 {
			t.Fatal("swept too early")
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if s.Sessions() != 0 || <-released != releaseCut {
			t.Error("not swept")
		}
		if n := counter(s.stats.cuts, string(DropProcessing)); n != 1 {
			t.Errorf("%v cuts counted", n)
		}
	})
}

// The sweeper comes every SweepPeriod.
func TestSweepPeriod(t *testing.T) {
	inBubbleOf(t, func(c *Config) { c.SweepPeriod = time.Minute }, func(t *testing.T, s *Server) {
		shake(t, s)
		time.Sleep(59 * time.Second)
		if s.Sessions() != 1 {
			t.Error("swept before its period")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s.Sessions() != 0 {
			t.Error("not swept")
		}
	})
}

// A socket that is closed between the handshake and the first connect, with or without
// another message in between, leaves a session that expires (CometD's issue 1716).
func TestSocketClosedBeforeTheFirstConnect(t *testing.T) {
	for _, messages := range []string{"", `[{"channel":"/meta/subscribe","clientId":"%","subscription":"/b"}]`} {
		f := startTCP(t, func(c *Config) { c.MaxInterval, c.SweepPeriod = 200*time.Millisecond, 10*time.Millisecond })
		c := f.ws()
		c.say(handshakeBody)
		c.id = clientID(t, c.hear())
		if messages != "" {
			c.say(messages)
			mustHold(t, c.hear(), `"successful":true`)
		}
		c.Close()
		eventually(t, "the session expired", func() bool { return f.Sessions() == 0 })
	}
}
