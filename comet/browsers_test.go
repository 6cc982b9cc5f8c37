package comet

import (
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/sticky"
)

const crowded = `"advice":{"reconnect":"retry","interval":2000,"timeout":20000,"multiple-clients":true}`

// poll is a connect of a browser, in the background.
func (f *fixture) poll(id, cookie string) <-chan response {
	out := make(chan response, 1)
	go func() {
		r, err := f.try("POST", "/cometd", strings.ReplaceAll(connectBody, "%", id), "Cookie: BAYEUX_BROWSER="+cookie)
		if err != nil {
			r = response{status: -1, body: err.Error()}
		}
		out <- r
	}()
	return out
}

// The second connect of one browser is answered at once, with the advice to poll,
// until there is room; then it is held and the advice taken back.
func TestManySessionsInOneBrowser(t *testing.T) {
	f := start(t, nil)
	first, second, other := f.connected(), f.connected(), f.connected()
	held := f.poll(first, "b1")
	f.waitHeld(first)
	mustBe(t, receive(t, "the answer", f.poll(second, "b1")).body, `[{"id":"9","channel":"/meta/connect","successful":true,`+crowded+`}]`)
	mustBe(t, receive(t, "the answer", f.poll(second, "b1")).body, `[{"id":"9","channel":"/meta/connect","successful":true,`+crowded+`}]`)

	// Another browser has room, and so has another connect of the first session, which
	// replaces the one that is held.
	elsewhere := f.poll(other, "b2")
	f.waitHeld(other)
	again := f.poll(first, "b1")
	if r := receive(t, "the replaced connect", held); r.status != 500 {
		t.Errorf("status %d: %s", r.status, r.body)
	}
	f.waitHeld(first)

	f.DropSession(first)
	mustHold(t, receive(t, "the end of the first", again).body, `"reconnect":"none"`)
	held = f.poll(second, "b1")
	f.waitHeld(second)
	f.session(second).complete(releaseTimeout)
	mustBe(t, receive(t, "the answer", held).body, `[{"id":"9","channel":"/meta/connect","successful":true,`+advised+`}]`)
	f.session(other).complete(releaseTimeout)
	receive(t, "the answer", elsewhere)
	if n := len(f.browsers.held); n != 0 {
		t.Errorf("%d browsers are remembered although nothing is held", n)
	}
}

// Clients without the cookie are never limited; neither are WebSockets, whatever
// cookie they bring. The transports of HTTP count by themselves.
func TestWhoIsNotLimited(t *testing.T) {
	f := startTCP(t, nil)
	for range 20 {
		id := f.connected()
		f.held(id, connectBody)
		f.waitHeld(id)
	}
	for range 3 {
		c := f.ws("Cookie: BAYEUX_BROWSER=b1").shake()
		c.say(connectBody)
		f.waitHeld(c.id)
	}
	a, b := f.connected(), f.connected()
	f.poll(a, "b1")
	f.waitHeld(a)
	go f.try("GET", `/cometd?jsonp=cb&message=`+strings.ReplaceAll(connectBody, "%", b), "", "Cookie: BAYEUX_BROWSER=b1")
	f.waitHeld(b)
}

// A browser that a balancer has pinned to another comet is the same browser.
func TestPinnedAnewIsTheSameBrowser(t *testing.T) {
	f := start(t, nil)
	first, second := f.connected(), f.connected()
	cookie := sticky.NewCookie("tagtagAA")
	_, random, _ := sticky.SplitCookie(cookie)
	f.poll(first, cookie)
	f.waitHeld(first)
	mustHold(t, receive(t, "the answer", f.poll(second, sticky.Repin("tagtagBB", random))).body, "multiple-clients")
}

func TestMaxSessionsPerBrowser(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		held   int
		then   string
	}{
		{"two", func(c *Config) { c.MaxSessionsPerBrowser = 2 }, 2, `"successful":true,` + crowded},
		{"none at all", func(c *Config) { c.MaxSessionsPerBrowser = 0 }, 0, `"successful":true,` + crowded},
		{"another interval", func(c *Config) { c.MultiSessionInterval = 5 * time.Second }, 1, `"interval":5000,"timeout":20000,"multiple-clients":true`},
		{"refused", func(c *Config) { c.MultiSessionInterval = 0 }, 1, `"successful":false,"advice":{"reconnect":"none","interval":0,"timeout":20000,"multiple-clients":true}`},
		{"no limit", func(c *Config) { c.MaxSessionsPerBrowser = -1 }, 5, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := start(t, c.change)
			for range c.held {
				id := f.connected()
				f.poll(id, "b1")
				f.waitHeld(id)
			}
			if c.then != "" {
				mustHold(t, receive(t, "the answer", f.poll(f.connected(), "b1")).body, c.then)
			}
		})
	}
}

// A session that polls because its browser is crowded does not expire meanwhile.
func TestCrowdedSessionLivesOn(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Server) {
		session := shake(t, s)
		session.connect(polled)
		session.answerPoll(x0, releaseCrowded, 0)
		pass(11 * time.Second)
		if s.Sessions() != 1 {
			t.Error("expired before interval + maxInterval")
		}
		pass(2 * time.Second)
		if s.Sessions() != 0 {
			t.Error("not expired")
		}
	})
}

// A connect that was not to be held is not counted, and not refused (CometD counts it
// for a moment).
func TestConnectThatIsNotHeldIsNotCounted(t *testing.T) {
	f := start(t, nil)
	first := f.connected()
	f.poll(first, "b1")
	f.waitHeld(first)
	r := f.request("POST", "/cometd", `[{"channel":"/meta/connect","clientId":"`+f.connected()+`","advice":{"timeout":0}}]`, "Cookie: BAYEUX_BROWSER=b1")
	mustBe(t, r.body, `[{"channel":"/meta/connect","successful":true,`+advised+`}]`)
}
