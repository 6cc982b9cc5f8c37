package balancer

import "time"

// place chooses a comet for a request that no key of a session has decided: one that
// begins a session, or whose session nobody knows.
//
// A new session that can be pinned goes by load. By IP goes what cannot be: a
// WebSocket without a cookie, whose client may hold its next one without a cookie
// too, and the handshake of a client of Faye's (it names eventsource), which has
// opened such a socket before and will use it afterwards.
func place(r *request, s *snapshot, o routeOptions) decision {
	byLoad := !o.keys.IP
	if r.kind == kindBayeux && r.handshake && !r.upgrade {
		switch o.place {
		case PlaceAuto:
			byLoad = byLoad || !r.eventSource && pinnable(s, &o)
		case PlaceLoad:
			byLoad = byLoad || pinnable(s, &o)
		}
	}
	d := decision{reason: placeReason(r, byLoad)}
	if byLoad {
		d.comet = lessLoaded(s.comets, &o)
	} else {
		d.comet = rendezvous(s.comets, o.prefixes.key(r.ip))
	}
	if d.comet == nil {
		d.reason = pick(r, ReasonNoComet, ReasonPageNoComet)
		return d
	}
	if mints(r, d.comet, o.keys) {
		d.setCookie = o.mint(d.comet.nameTag)
		d.requestCookie = d.setCookie
	}
	return d
}

// pinnable reports whether the later requests of a session placed now will find it
// without the client's address: by their cookie, or, when all comets make clientIds
// with tags or clientIds are learnt, by those.
func pinnable(s *snapshot, o *routeOptions) bool {
	switch {
	case o.keys.Cookie:
		return true
	case !o.keys.ClientID:
		return false
	case o.learnt != nil:
		return true
	}
	for _, c := range s.comets {
		if _, weight := c.opening(); weight > 0 && !c.gossips {
			return false
		}
	}
	return true
}

// mints reports whether the request gets a new browser cookie: a handshake whose
// cookie says nothing, and an upgrade without one. The answer to an upgrade sets none
// in front of a comet that does not gossip: there the cookie is what the session is
// found by, and this one would race with that of a handshake under way.
func mints(r *request, c *comet, k Keys) bool {
	if !k.Cookie || r.kind != kindBayeux {
		return false
	}
	return r.handshake || r.upgrade && r.cookie == "" && c.gossips
}

func placeReason(r *request, byLoad bool) Reason {
	switch {
	case r.kind == kindPage && byLoad:
		return ReasonPageNoKey
	case r.kind == kindPage:
		return ReasonPageIP
	case byLoad && (r.handshake || r.upgrade):
		return ReasonPlacedLoad
	case byLoad:
		return ReasonNoKey
	case r.handshake || r.upgrade:
		return ReasonPlacedIP
	}
	return ReasonIP
}

// lessLoaded draws two of the comets that take new sessions, by their weights, and
// chooses the one with fewer of them in proportion to its weight. Two draws are nearly
// as even as a look at all, and do not send everybody to the one comet that has just
// come. One that has become healthy later than the other takes only a part of what it
// is chosen for.
func lessLoaded(comets []*comet, o *routeOptions) *comet {
	open := make([]offer, 0, 16)
	lowest, total := worstRank, 0
	for _, c := range comets {
		rank, weight := c.opening()
		if weight == 0 || rank > lowest {
			continue
		}
		if rank < lowest {
			lowest, total, open = rank, 0, open[:0]
		}
		open = append(open, offer{c, int64(weight)})
		total += int(weight)
	}
	switch len(open) {
	case 0:
		return nil
	case 1:
		return open[0].comet
	}
	i := drawn(open, -1, o.choose(total))
	j := drawn(open, i, o.choose(total-int(open[i].weight)))
	first, second := open[i], open[j]
	if second.lighter(first) {
		first, second = second, first
	}
	if mine, theirs := first.comet.ramp(o), second.comet.ramp(o); mine < theirs && o.choose(theirs) >= mine {
		return second.comet
	}
	return first.comet
}

// offer is a comet that may get a new session.
type offer struct {
	comet  *comet
	weight int64
}

// lighter reports whether a has fewer sessions in proportion to its weight than b,
// the new one included.
func (a offer) lighter(b offer) bool {
	return (a.comet.load.sessions()+1)*b.weight < (b.comet.load.sessions()+1)*a.weight
}

// drawn is the offer that a number drawn below the sum of the weights stands for, when
// the one at skip is left out.
func drawn(open []offer, skip, n int) int {
	at := 0
	for i := range open {
		if i == skip {
			continue
		}
		if at = i; n < int(open[i].weight) {
			break
		}
		n -= int(open[i].weight)
	}
	return at
}

// fullRamp is the whole of the new sessions that would come to a comet.
const fullRamp = 1000

// ramp is how much of the new sessions that would come to a comet it takes, of
// fullRamp: nothing at the moment when it became healthy, all once Config.SlowStart is
// over.
//
// It holds for placing by load only. What is chosen by rendezvous hashing must be the
// same at every moment, and on every balancer: a ramp would move clients to another
// comet and on again while it climbs.
func (c *comet) ramp(o *routeOptions) int {
	began := c.fresh.Load()
	if began == 0 || o.slowStart <= 0 {
		return fullRamp
	}
	since := o.now().Sub(time.Unix(0, began))
	switch {
	case since < 0, since >= o.slowStart: // the clock may have been set back
		return fullRamp
	}
	return int(fullRamp * since / o.slowStart)
}
