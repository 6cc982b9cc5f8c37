package balancer

import (
	"fmt"
	"testing"

	"github.com/halleycomet/halley/internal/sticky"
)

// Each key can be switched off, in each combination with the others: a request goes by
// the first that is on and says something, and cookies are minted only by the key that
// reads them.
func TestKeysOff(t *testing.T) {
	cs := gossiping(5)
	byIP := rendezvous(cs, testKey(7))
	var owner, pinned *comet // three comets: of the clientId, of the cookie, and of the address
	for _, c := range cs {
		switch {
		case c == byIP:
		case owner == nil:
			owner = c
		case pinned == nil:
			pinned = c
		}
	}
	s := testSnapshot(cs...)
	id, cookie := sticky.NewClientID(owner.tag), sticky.NewCookie(pinned.nameTag)
	for bits := 1; bits < 8; bits++ {
		k := Keys{ClientID: bits&1 != 0, Cookie: bits&2 != 0, IP: bits&4 != 0}
		o := testOptions(1)
		o.keys = k
		last := func(ip, load Reason) (*comet, Reason) {
			if k.IP {
				return byIP, ip
			}
			return nil, load // anyone
		}
		check := func(name string, r request, to *comet, why Reason, sets bool) {
			t.Helper()
			r.ip = testIP(7)
			d := route(&r, s, o)
			if to != nil && d.comet != to || d.comet == nil || d.reason != why || (d.setCookie != "") != sets || d.requestCookie != d.setCookie {
				t.Errorf("%+v: %s: %+v", k, name, d)
			}
		}
		to, why := last(ReasonIP, ReasonNoKey)
		check("nothing", request{}, to, why, false)
		if k.Cookie {
			to, why = pinned, ReasonCookie
		}
		check("cookie", request{cookie: cookie}, to, why, false)
		if k.ClientID {
			to, why = owner, ReasonClientID
		}
		check("clientId and cookie", request{clientID: id, cookie: cookie}, to, why, false)

		to, why = last(ReasonPageIP, ReasonPageNoKey)
		if k.Cookie {
			to, why = pinned, ReasonPageCookie
		}
		check("page with a cookie", request{kind: kindPage, cookie: cookie}, to, why, false)

		to, why = last(ReasonPlacedIP, ReasonPlacedLoad)
		check("upgrade", request{upgrade: true}, to, why, k.Cookie)
		if k.Cookie || k.ClientID {
			to, why = nil, ReasonPlacedLoad // it can be pinned
		}
		check("handshake", request{handshake: true}, to, why, k.Cookie)
		check("handshake with an old clientId", request{handshake: true, clientID: id}, to, why, k.Cookie)
		if k.Cookie {
			to, why = pinned, ReasonCookie
		}
		check("handshake with a cookie", request{handshake: true, cookie: cookie}, to, why, false)
	}
}

// Whatever a client sends as clientId and cookie, in whatever state the comets are: it
// goes to a comet that is there and lives, or it is answered for one that is known. A
// session begins only where one may.
func FuzzForgedKeys(f *testing.F) {
	f.Add("tag00000abcdefghijklmnopqrstuv", "abcdefghABCDEFGHIJKLMNOPQR", uint16(0), uint32(0x1234567))
	f.Add("foreign", "", uint16(0x107), uint32(0x7654321))
	f.Fuzz(func(t *testing.T, clientID, cookie string, bits uint16, shape uint32) {
		cs := append(gossiping(3), listedOnly(3)...)
		for i, c := range cs {
			c.state.Store(shape >> (4 * i) & 7 % uint32(states))
			c.share.Store(shape >> (4*i + 3) & 1)
			c.tier.Store(shape >> 24 & uint32(i) & 1)
		}
		if len(cookie) > sticky.TagLen && bits&0x200 != 0 {
			cookie = string(cs[bits%6].nameTag) + cookie[sticky.TagLen:]
		}
		if len(clientID) > sticky.TagLen && bits&0x400 != 0 {
			clientID = string(cs[bits%3].tag) + clientID[sticky.TagLen:]
		}
		r := &request{
			clientID: clientID, cookie: cookie, ip: testIP(int(bits)), severalOf: bits&0x10 != 0,
			handshake: bits&1 != 0, upgrade: bits&2 != 0, eventSource: bits&4 != 0,
		}
		if bits&8 != 0 {
			r.kind = kindPage
		}
		s, o := testSnapshot(cs...), testOptions(uint64(bits))
		o.keys = Keys{ClientID: bits&0x20 != 0, Cookie: bits&0x40 != 0, IP: bits&0x80 != 0}
		o.learnt = func(id string) (sticky.Tag, bool) { return cs[4].nameTag, id == "foreign" }
		d := route(r, s, o)
		there := false
		for _, c := range s.comets {
			there = there || c == d.comet
		}
		switch {
		case d.reason == "":
			t.Errorf("no reason: %+v", d)
		case d.comet != nil && (!there || !d.comet.lives() || d.owner != nil):
			t.Errorf("to a comet in state %s: %+v", d.comet.State(), d)
		case d.comet == nil && d.owner == nil && d.reason != ReasonNoComet && d.reason != ReasonPageNoComet:
			t.Errorf("nobody, for the reason %s", d.reason)
		case d.owner != nil && (d.owner.lives() || r.kind == kindPage || r.handshake):
			t.Errorf("answered for %s: %+v", d.owner.State(), d)
		case d.comet != nil && r.handshake && r.kind == kindBayeux && d.comet.is(Draining):
			t.Errorf("a session begins at one that drains: %+v", d)
		}
		if d.setCookie != "" {
			if tag, _, ok := sticky.SplitCookie(d.setCookie); !ok || tag != d.comet.nameTag || !o.keys.Cookie {
				t.Errorf("cookie %q", d.setCookie)
			}
		}
	})
}

// Cookies are minted, set and shown to the comet only when the key is on.
func TestCookieKeyOff(t *testing.T) {
	a := newFakeComet(t, "a", ok)
	for _, on := range []bool{true, false} {
		cfg := quick()
		cfg.Keys.Cookie = on
		b := run(t, cfg, gossipOf(a))
		got := b.post(handshake)
		if set := got.header.Get("Set-Cookie") != ""; set != on {
			t.Errorf("key on %v: %s", on, fmt.Sprint(got.header))
		}
	}
}
