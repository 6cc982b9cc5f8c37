package balancer

import (
	"net/netip"
	"time"

	"github.com/halleycomet/halley/internal/sticky"
)

// kind tells what a request is to the balancer.
type kind uint8

const (
	// kindBayeux: a request to the Bayeux endpoint with messages in it, or a
	// WebSocket upgrade of it.
	kindBayeux kind = iota
	// kindPage: everything else: other paths, preflights, and what could not be read
	// as messages and is for a comet to refuse.
	kindPage
)

// request holds the facts of a request by which it is routed.
type request struct {
	kind        kind
	upgrade     bool       // to WebSocket
	handshake   bool       // holds a /meta/handshake
	eventSource bool       // the handshake names eventsource: a client of Faye's
	clientID    string     // of the messages; empty when there is none
	cookie      string     // value of the browser cookie; empty when there is none
	severalOf   bool       // the cookie stands there more than once
	ip          netip.Addr // of the client
}

// decision is where a request goes, and why.
type decision struct {
	// comet gets the request. Nil when nobody does.
	comet *comet

	// owner is set, and comet nil, when the session's comet is known and down: the
	// balancer itself answers for it.
	owner *comet

	// reason is why, and the metric label.
	reason Reason

	// requestCookie is the value that the comet must see as the browser cookie
	// (rewriteCookie). Empty leaves the request's cookies as they came.
	requestCookie string

	// setCookie is the value that the browser gets with the answer (Cookie.setCookie).
	// Empty sets none.
	setCookie string
}

// moved is the decision when another comet answered than the one it named: the
// cookie names the comet that answered, and keeps its random part. The request to c
// must be sent with the requestCookie of this.
func (d decision) moved(c *comet) decision {
	if d.setCookie != "" {
		_, random, _ := sticky.SplitCookie(d.setCookie)
		d.setCookie = sticky.Repin(c.nameTag, random)
		d.requestCookie = d.setCookie
	}
	d.comet, d.owner = c, nil
	return d
}

// routeOptions are what route depends on beside the request and the comets.
type routeOptions struct {
	place Place
	keys  Keys
	// learnt tells of which comet a session without a tag is, by the tag of the comet's
	// name; nil when nothing is learnt.
	learnt func(clientID string) (sticky.Tag, bool)
	// prefixes are what of a client's address counts.
	prefixes prefixes
	// slowStart is for how long a fresh comet is spared.
	slowStart time.Duration
	// choose draws a number below n.
	choose func(n int) int
	// now is the time.
	now func() time.Time
	// mint makes the cookie value of a new browser.
	mint func(sticky.Tag) string
}

// route decides which comet gets a request. It is pure: the same request, comets and
// draws give the same decision.
//
// The keys are asked in order: the clientId, when it begins with the tag of an
// incarnation known, or when it was learnt; the browser cookie, when it begins with the tag of a name known;
// the address of the client. A handshake asks for a new session: its clientId says
// nothing, and when its cookie names a comet that takes no new sessions, it is moved.
func route(r *request, s *snapshot, o routeOptions) decision {
	if !s.ready {
		return decision{reason: pick(r, ReasonNotReady, ReasonPageNotReady)}
	}
	if r.kind == kindBayeux && o.keys.ClientID && !r.handshake {
		if tag, ok := sticky.ClientIDTag(r.clientID); ok {
			if c := s.byTag[tag]; c != nil {
				return r.canonical(o, r.owned(c, ReasonClientID))
			}
		}
		if o.learnt != nil && r.clientID != "" {
			if tag, ok := o.learnt(r.clientID); ok && s.byNameTag[tag] != nil {
				return r.canonical(o, r.owned(s.byNameTag[tag], ReasonLearnt))
			}
		}
	}
	if o.keys.Cookie {
		if tag, random, ok := sticky.SplitCookie(r.cookie); ok {
			if d, ok := routeByCookie(r, s, tag, random); ok {
				return r.canonical(o, d)
			}
		}
	}
	return r.canonical(o, place(r, s, o))
}

// routeByCookie routes a request with a tagged cookie. It is not ok when the cookie
// says nothing.
func routeByCookie(r *request, s *snapshot, tag sticky.Tag, random string) (decision, bool) {
	c := s.byNameTag[tag]
	fresh := r.handshake || r.upgrade && r.kind == kindBayeux // may begin a session
	switch {
	case c != nil && fresh && r.mayBegin(c, s),
		c != nil && !fresh && c.lives():
		return decision{comet: c, reason: pick(r, ReasonCookie, ReasonPageCookie)}, true
	case c != nil && !fresh && r.kind == kindBayeux:
		return decision{owner: c, reason: ReasonOwnerDown}, true
	case c == nil && !r.handshake:
		return decision{}, false
	}
	// The comet is chosen by the part of the cookie that never changes, so all tabs
	// of a browser, through all balancers, move to the same one.
	to := rendezvous(s.comets, hashString(random))
	if to == nil {
		return decision{reason: pick(r, ReasonNoComet, ReasonPageNoComet)}, true
	}
	d := decision{comet: to, reason: pick(r, ReasonRehomed, ReasonPageRehomed)}
	if r.handshake {
		d.reason = ReasonRepinned
		d.setCookie = sticky.Repin(to.nameTag, random)
		d.requestCookie = d.setCookie
	}
	return d, true
}

// mayBegin reports whether a handshake or an upgrade that names c stays there. A comet
// that is suspect, full or a backup keeps its sessions, and an upgrade may be of one; a
// handshake goes where there is less doubt. A weight of 0 keeps new clients away, and
// not those that have been there.
func (r *request) mayBegin(c *comet, s *snapshot) bool {
	switch c.State() {
	case Unknown:
		return true
	case Healthy, Suspect, Full:
		return !r.handshake || c.rank() == 0 || !s.opener(c)
	}
	return false
}

// owned is the decision for a request of a session that c has, or had.
func (r *request) owned(c *comet, why Reason) decision {
	if c.lives() {
		return decision{comet: c, reason: why}
	}
	return decision{owner: c, reason: ReasonOwnerDown}
}

// canonical sees to it that the comet finds the cookie that counts, and no other of
// that name before it: CometD's server looks at the first.
func (r *request) canonical(o routeOptions, d decision) decision {
	if o.keys.Cookie && r.severalOf && d.comet != nil && d.requestCookie == "" && isTaggedCookie(r.cookie) {
		d.requestCookie = r.cookie
	}
	return d
}

// pick chooses the reason by the kind of request.
func pick(r *request, bayeux, page Reason) Reason {
	if r.kind == kindPage {
		return page
	}
	return bayeux
}

func isTaggedCookie(value string) bool {
	_, _, ok := sticky.SplitCookie(value)
	return ok
}
