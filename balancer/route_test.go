package balancer

import (
	"testing"

	"github.com/halleycomet/halley/internal/sticky"
)

const (
	testRandom = "abcdefghijABCDEFGH"
	untagged   = "0123456789abcdef" // as CometD makes them
)

// TestRoute lists the rules of the three keys, for comets of ours and of a list.
// Comet 0 is the one that the keys name; what is expected of an address is computed.
func TestRoute(t *testing.T) {
	ip := testIP(7)
	type want struct {
		to         func(cs []*comet) *comet // nil: nobody
		owner      bool                     // comet 0 is the owner that is down
		reason     Reason
		set        bool // the browser gets a cookie that names the comet
		sameRandom bool // with the random part of the request's
	}
	first := func(cs []*comet) *comet { return cs[0] }
	byIP := func(cs []*comet) *comet { return rendezvous(cs, defaultPrefixes.key(ip)) }
	byRandom := func(cs []*comet) *comet { return rendezvous(cs, hashString(testRandom)) }
	someone := func(cs []*comet) *comet { return nil } // replaced below: any healthy one

	id := sticky.NewClientID(testTag(0))
	strangerID := sticky.NewClientID("stranger")
	pin := func(cs []*comet) string { return sticky.Repin(cs[0].nameTag, testRandom) }
	const any = "any"

	for _, c := range []struct {
		name    string
		request request
		pinned  bool  // the cookie names comet 0
		state   State // of comet 0
		listed  bool  // comets of a list, not of ours
		options func(*routeOptions)
		want    want
		by      string
	}{
		{name: "clientId", request: request{clientID: id}, state: Healthy, want: want{to: first, reason: ReasonClientID}},
		{name: "clientId, comet draining", request: request{clientID: id}, state: Draining, want: want{to: first, reason: ReasonClientID}},
		{name: "clientId, comet not checked yet", request: request{clientID: id}, state: Unknown, want: want{to: first, reason: ReasonClientID}},
		{name: "clientId, comet down", request: request{clientID: id}, state: Down, want: want{owner: true, reason: ReasonOwnerDown}},
		{name: "clientId, comet gone", request: request{clientID: id}, state: Gone, want: want{owner: true, reason: ReasonOwnerDown}},
		{name: "clientId before cookie", request: request{clientID: id, cookie: sticky.NewCookie(sticky.NameTag("comet-1"))}, state: Healthy,
			want: want{to: first, reason: ReasonClientID}},
		{name: "clientId before cookie, comet down", request: request{clientID: id, cookie: sticky.NewCookie(sticky.NameTag("comet-1"))}, state: Down,
			want: want{owner: true, reason: ReasonOwnerDown}},
		{name: "clientId of nobody known", request: request{clientID: strangerID}, state: Healthy, want: want{to: byIP, reason: ReasonIP}},
		{name: "clientId of nobody known, cookie", request: request{clientID: strangerID}, pinned: true, state: Healthy,
			want: want{to: first, reason: ReasonCookie}},
		{name: "clientId of another form", request: request{clientID: "1a2b3c4d5e6f7g8h9i0j1k2l3m"}, state: Healthy, want: want{to: byIP, reason: ReasonIP}},
		{name: "clientId key off", request: request{clientID: id}, state: Healthy,
			options: func(o *routeOptions) { o.keys.ClientID = false }, want: want{to: byIP, reason: ReasonIP}},

		{name: "cookie", pinned: true, state: Healthy, want: want{to: first, reason: ReasonCookie}},
		{name: "cookie, listed", pinned: true, listed: true, state: Healthy, want: want{to: first, reason: ReasonCookie}},
		{name: "cookie, comet draining", pinned: true, state: Draining, want: want{to: first, reason: ReasonCookie}},
		{name: "cookie, comet down", pinned: true, state: Down, want: want{owner: true, reason: ReasonOwnerDown}},
		{name: "cookie, comet gone", pinned: true, state: Gone, want: want{owner: true, reason: ReasonOwnerDown}},
		{name: "cookie, key off", pinned: true, state: Healthy,
			options: func(o *routeOptions) { o.keys.Cookie = false }, want: want{to: byIP, reason: ReasonIP}},
		{name: "cookie of nobody known", request: request{cookie: sticky.NewCookie("stranger")}, state: Healthy, want: want{to: byIP, reason: ReasonIP}},
		{name: "cookie untagged", request: request{cookie: untagged}, state: Healthy, want: want{to: byIP, reason: ReasonIP}},
		{name: "no key", state: Healthy, want: want{to: byIP, reason: ReasonIP}},
		{name: "ip key off", state: Healthy, options: func(o *routeOptions) { o.keys.IP = false }, by: any, want: want{to: someone, reason: ReasonNoKey}},

		{name: "handshake", request: request{handshake: true}, state: Healthy, by: any, want: want{to: someone, reason: ReasonPlacedLoad, set: true}},
		{name: "handshake, listed", request: request{handshake: true}, listed: true, state: Healthy, by: any,
			want: want{to: someone, reason: ReasonPlacedLoad, set: true}},
		{name: "handshake of Faye", request: request{handshake: true, eventSource: true}, state: Healthy,
			want: want{to: byIP, reason: ReasonPlacedIP, set: true}},
		{name: "handshake of Faye, place load", request: request{handshake: true, eventSource: true}, state: Healthy,
			options: func(o *routeOptions) { o.place = PlaceLoad }, by: any, want: want{to: someone, reason: ReasonPlacedLoad, set: true}},
		{name: "handshake, place ip", request: request{handshake: true}, state: Healthy,
			options: func(o *routeOptions) { o.place = PlaceIP }, want: want{to: byIP, reason: ReasonPlacedIP, set: true}},
		{name: "handshake, untagged cookie", request: request{handshake: true, cookie: untagged}, state: Healthy, by: any,
			want: want{to: someone, reason: ReasonPlacedLoad, set: true}},
		{name: "handshake, cookie key off", request: request{handshake: true}, state: Healthy,
			options: func(o *routeOptions) { o.keys.Cookie = false }, by: any, want: want{to: someone, reason: ReasonPlacedLoad}},
		{name: "handshake, cookie key off, listed", request: request{handshake: true, cookie: untagged}, listed: true, state: Healthy,
			options: func(o *routeOptions) { o.keys.Cookie = false }, want: want{to: byIP, reason: ReasonPlacedIP}},
		{name: "handshake, cookie key off, listed, place load", request: request{handshake: true}, listed: true, state: Healthy,
			options: func(o *routeOptions) { o.keys.Cookie, o.place = false, PlaceLoad }, want: want{to: byIP, reason: ReasonPlacedIP}},
		{name: "handshake, ip alone", request: request{handshake: true}, state: Healthy,
			options: func(o *routeOptions) { o.keys = Keys{IP: true} }, want: want{to: byIP, reason: ReasonPlacedIP}},
		{name: "handshake, pinned", request: request{handshake: true}, pinned: true, state: Healthy, want: want{to: first, reason: ReasonCookie}},
		{name: "handshake, pinned, of Faye, place ip", request: request{handshake: true, eventSource: true}, pinned: true, state: Healthy,
			options: func(o *routeOptions) { o.place = PlaceIP }, want: want{to: first, reason: ReasonCookie}},
		{name: "handshake, with the clientId of its last session", request: request{handshake: true, clientID: id}, state: Down, by: any,
			want: want{to: someone, reason: ReasonPlacedLoad, set: true}},
		{name: "handshake, pinned, comet draining", request: request{handshake: true}, pinned: true, state: Draining,
			want: want{to: byRandom, reason: ReasonRepinned, set: true, sameRandom: true}},
		{name: "handshake, pinned, comet down", request: request{handshake: true}, pinned: true, state: Down,
			want: want{to: byRandom, reason: ReasonRepinned, set: true, sameRandom: true}},
		{name: "handshake, pinned, comet down, listed", request: request{handshake: true}, pinned: true, listed: true, state: Down,
			want: want{to: byRandom, reason: ReasonRepinned, set: true, sameRandom: true}},
		{name: "handshake, pinned, comet gone", request: request{handshake: true}, pinned: true, state: Gone,
			want: want{to: byRandom, reason: ReasonRepinned, set: true, sameRandom: true}},
		{name: "handshake, cookie of nobody known", request: request{handshake: true, cookie: sticky.Repin("stranger", testRandom)}, state: Healthy,
			want: want{to: byRandom, reason: ReasonRepinned, set: true, sameRandom: true}},

		{name: "upgrade", request: request{upgrade: true}, state: Healthy, want: want{to: byIP, reason: ReasonPlacedIP, set: true}},
		{name: "upgrade, place load", request: request{upgrade: true}, state: Healthy,
			options: func(o *routeOptions) { o.place = PlaceLoad }, want: want{to: byIP, reason: ReasonPlacedIP, set: true}},
		{name: "upgrade, listed", request: request{upgrade: true}, listed: true, state: Healthy, want: want{to: byIP, reason: ReasonPlacedIP}},
		{name: "upgrade, cookie key off", request: request{upgrade: true}, state: Healthy,
			options: func(o *routeOptions) { o.keys.Cookie = false }, want: want{to: byIP, reason: ReasonPlacedIP}},
		{name: "upgrade, ip key off", request: request{upgrade: true}, state: Healthy,
			options: func(o *routeOptions) { o.keys.IP = false }, by: any, want: want{to: someone, reason: ReasonPlacedLoad, set: true}},
		{name: "upgrade, untagged cookie", request: request{upgrade: true, cookie: untagged}, state: Healthy, want: want{to: byIP, reason: ReasonPlacedIP}},
		{name: "upgrade, cookie of nobody known", request: request{upgrade: true, cookie: sticky.NewCookie("stranger")}, state: Healthy,
			want: want{to: byIP, reason: ReasonPlacedIP}},
		{name: "upgrade, pinned", request: request{upgrade: true}, pinned: true, state: Healthy, want: want{to: first, reason: ReasonCookie}},
		{name: "upgrade, pinned, comet down", request: request{upgrade: true}, pinned: true, state: Down, want: want{to: byRandom, reason: ReasonRehomed}},
		{name: "upgrade, pinned, comet draining", request: request{upgrade: true}, pinned: true, state: Draining, want: want{to: byRandom, reason: ReasonRehomed}},

		{name: "page", request: request{kind: kindPage}, state: Healthy, want: want{to: byIP, reason: ReasonPageIP}},
		{name: "page, its socket", request: request{kind: kindPage, upgrade: true}, state: Healthy, want: want{to: byIP, reason: ReasonPageIP}},
		{name: "page, ip key off", request: request{kind: kindPage}, state: Healthy,
			options: func(o *routeOptions) { o.keys.IP = false }, by: any, want: want{to: someone, reason: ReasonPageNoKey}},
		{name: "page, pinned", request: request{kind: kindPage}, pinned: true, state: Healthy, want: want{to: first, reason: ReasonPageCookie}},
		{name: "page, pinned, comet draining", request: request{kind: kindPage}, pinned: true, state: Draining, want: want{to: first, reason: ReasonPageCookie}},
		{name: "page, pinned, comet down", request: request{kind: kindPage}, pinned: true, state: Down, want: want{to: byRandom, reason: ReasonPageRehomed}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cs := gossiping(5)
			if c.listed {
				cs = listedOnly(5)
			}
			cs[0].state.Store(uint32(c.state))
			s := testSnapshot(cs...)
			r := c.request
			r.ip = ip
			if c.pinned {
				r.cookie = pin(cs)
			}
			o := testOptions(1)
			if c.options != nil {
				c.options(&o)
			}
			d := route(&r, s, o)
			if d.reason != c.want.reason {
				t.Errorf("reason %s, want %s", d.reason, c.want.reason)
			}
			switch {
			case c.want.owner:
				if d.comet != nil || d.owner != cs[0] {
					t.Errorf("comet %v, owner %v, want the owner alone", d.comet, d.owner)
				}
			case c.by == any:
				if d.comet == nil || !d.comet.is(Healthy) || d.owner != nil {
					t.Errorf("comet %v, owner %v, want a healthy comet", d.comet, d.owner)
				}
			default:
				if to := c.want.to(cs); d.comet != to || d.owner != nil {
					t.Errorf("to %+v, owner %v, want %s", d.comet, d.owner, to.name)
				}
			}
			checkCookies(t, d, c.want.set, c.want.sameRandom)
		})
	}
}

func checkCookies(t *testing.T, d decision, set, sameRandom bool) {
	t.Helper()
	if d.setCookie != d.requestCookie {
		t.Errorf("browser gets %q, comet %q", d.setCookie, d.requestCookie)
	}
	if !set {
		if d.setCookie != "" {
			t.Errorf("sets %q", d.setCookie)
		}
		return
	}
	tag, random, ok := sticky.SplitCookie(d.setCookie)
	if !ok || tag != d.comet.nameTag {
		t.Errorf("cookie %q does not name %s (%s)", d.setCookie, d.comet.name, d.comet.nameTag)
	}
	if (random == testRandom) != sameRandom {
		t.Errorf("cookie %q has random part %q", d.setCookie, random)
	}
}

// Nobody is healthy: nobody gets it, but who is known to be down is still told so.
func TestRouteNoComet(t *testing.T) {
	cs := gossiping(2)
	cs[0].state.Store(uint32(Down))
	cs[1].state.Store(uint32(Draining))
	s := testSnapshot(cs...)
	pinned := sticky.Repin(cs[0].nameTag, testRandom)
	for _, c := range []struct {
		name    string
		request request
		want    Reason
	}{
		{"handshake", request{handshake: true}, ReasonNoComet},
		{"handshake, pinned", request{handshake: true, cookie: pinned}, ReasonNoComet},
		{"upgrade", request{upgrade: true}, ReasonNoComet},
		{"upgrade, pinned", request{upgrade: true, cookie: pinned}, ReasonNoComet},
		{"no key", request{}, ReasonNoComet},
		{"clientId", request{clientID: sticky.NewClientID(cs[0].tag)}, ReasonOwnerDown},
		{"cookie", request{cookie: pinned}, ReasonOwnerDown},
		{"page", request{kind: kindPage}, ReasonPageNoComet},
		{"page, pinned", request{kind: kindPage, cookie: pinned}, ReasonPageNoComet},
	} {
		d := route(&c.request, s, testOptions(1))
		if d.reason != c.want || d.comet != nil || d.setCookie != "" || d.requestCookie != "" {
			t.Errorf("%s: %+v, want %s", c.name, d, c.want)
		}
	}
}

// Before it knows its comets the balancer sends nobody anywhere and calls nobody dead.
func TestRouteNotReady(t *testing.T) {
	cs := gossiping(2)
	cs[0].state.Store(uint32(Down))
	s := testSnapshot(cs...)
	s.ready = false
	for _, r := range []request{
		{clientID: sticky.NewClientID(cs[0].tag)},
		{cookie: sticky.NewCookie(cs[0].nameTag)},
		{handshake: true},
		{upgrade: true},
	} {
		if d := route(&r, s, testOptions(1)); d != (decision{reason: ReasonNotReady}) {
			t.Errorf("%+v: %+v", r, d)
		}
	}
	if d := route(&request{kind: kindPage}, s, testOptions(1)); d != (decision{reason: ReasonPageNotReady}) {
		t.Errorf("page: %+v", d)
	}
}

// A restarted comet has another tag. Its sessions of before are dead; the cookie
// finds its new life.
func TestRouteRestart(t *testing.T) {
	old := testComet("a", testTag(1), Gone)
	new := testComet("a", testTag(2), Healthy)
	s := testSnapshot(old, testComet("b", testTag(3), Healthy), new)
	pinned := sticky.NewCookie(old.nameTag)

	d := route(&request{clientID: sticky.NewClientID(old.tag), cookie: pinned}, s, testOptions(1))
	if d.owner != old || d.reason != ReasonOwnerDown {
		t.Errorf("old session: %+v", d)
	}
	d = route(&request{handshake: true, cookie: pinned}, s, testOptions(1))
	if d.comet != new || d.reason != ReasonCookie || d.setCookie != "" {
		t.Errorf("handshake: %+v", d)
	}
}

// A comet of ours that stands in the list too is found by the cookie of the time when
// only the list knew it.
func TestRouteByListedName(t *testing.T) {
	cs := gossiping(3)
	s := testSnapshot(cs...)
	d := route(&request{cookie: sticky.NewCookie(cs[1].urlTag)}, s, testOptions(1))
	if d.comet != cs[1] || d.reason != ReasonCookie {
		t.Errorf("%+v", d)
	}
}

// All balancers, in whatever order they know the comets, move a browser to the same
// comet and give it the same cookie.
func TestRepinAgrees(t *testing.T) {
	here, there := gossiping(6), gossiping(6)
	here[2].state.Store(uint32(Down))
	there[2].state.Store(uint32(Gone)) // the other one has even forgotten it
	s := testSnapshot(here...)
	other := testSnapshot(there[5], there[0], there[3], there[1], there[4])
	to := map[string]int{}
	for range 200 {
		r := &request{handshake: true, cookie: sticky.NewCookie(here[2].nameTag)}
		a, b := route(r, s, testOptions(1)), route(r, other, testOptions(2))
		if a.setCookie == "" || a.setCookie != b.setCookie || a.comet.name != b.comet.name {
			t.Fatalf("%s and %s: %+v, %+v", a.setCookie, b.setCookie, a, b)
		}
		to[a.comet.name]++
	}
	if len(to) != 5 {
		t.Errorf("not spread: %v", to)
	}
}

// When another comet answered than the one chosen, the cookie names that one.
func TestMoved(t *testing.T) {
	cs := gossiping(3)
	s := testSnapshot(cs...)
	d := route(&request{handshake: true}, s, testOptions(1))
	_, random, _ := sticky.SplitCookie(d.setCookie)
	for _, c := range cs {
		m := d.moved(c)
		if want := sticky.Repin(c.nameTag, random); m.comet != c || m.setCookie != want || m.requestCookie != want {
			t.Errorf("to %s: %+v", c.name, m)
		}
	}
	d = route(&request{clientID: sticky.NewClientID(cs[0].tag)}, s, testOptions(1))
	if m := d.moved(cs[1]); m.comet != cs[1] || m.setCookie != "" || m.requestCookie != "" {
		t.Errorf("without a cookie: %+v", m)
	}
}

// With two cookies of the name, the comet is shown the one that counts.
func TestCanonicalCookie(t *testing.T) {
	cs := gossiping(3)
	s := testSnapshot(cs...)
	pinned := sticky.NewCookie(cs[1].nameTag)
	o := testOptions(1)
	if d := route(&request{cookie: pinned, severalOf: true}, s, o); d.comet != cs[1] || d.requestCookie != pinned || d.setCookie != "" {
		t.Errorf("%+v", d)
	}
	if d := route(&request{cookie: untagged, severalOf: true}, s, o); d.requestCookie != "" {
		t.Errorf("untagged: %+v", d)
	}
	o.keys.Cookie = false
	if d := route(&request{cookie: pinned, severalOf: true}, s, o); d.requestCookie != "" {
		t.Errorf("key off: %+v", d)
	}
}

// A forged key chooses among the comets there are, and never a comet that takes no
// sessions for a new one.
func FuzzRoute(f *testing.F) {
	f.Add("tag00000abcdefghijklmnopqrstuv", "abcdefghABCDEFGHIJKLMNOPQR", uint8(0))
	f.Fuzz(func(t *testing.T, clientID, cookie string, bits uint8) {
		cs := gossiping(3)
		cs[0].state.Store(uint32(Down))
		cs[1].state.Store(uint32(Draining))
		r := &request{
			clientID: clientID, cookie: cookie, ip: testIP(int(bits)),
			handshake: bits&1 != 0, upgrade: bits&2 != 0, eventSource: bits&4 != 0,
		}
		if bits&8 != 0 {
			r.kind = kindPage
		}
		d := route(r, testSnapshot(cs...), testOptions(uint64(bits)))
		if d.comet == nil && d.owner != cs[0] || d.comet == cs[0] {
			t.Errorf("%+v", d)
		}
		if r.handshake && d.comet == cs[1] && r.kind == kindBayeux {
			t.Errorf("a new session on a comet that leaves: %+v", d)
		}
		if d.setCookie != "" {
			if tag, _, ok := sticky.SplitCookie(d.setCookie); !ok || tag != d.comet.nameTag {
				t.Errorf("cookie %q", d.setCookie)
			}
		}
	})
}
