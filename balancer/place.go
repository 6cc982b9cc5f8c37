package balancer

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
			byLoad = byLoad || !r.eventSource && pinnable(s, o.keys)
		case PlaceLoad:
			byLoad = byLoad || pinnable(s, o.keys)
		}
	}
	d := decision{reason: placeReason(r, byLoad)}
	if byLoad {
		d.comet = lessLoaded(s.comets, o.choose)
	} else {
		d.comet = rendezvous(s.comets, hashKey(network(r.ip)))
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
// with tags, by those.
func pinnable(s *snapshot, k Keys) bool {
	if k.Cookie {
		return true
	}
	if !k.ClientID {
		return false
	}
	for _, c := range s.comets {
		if !c.gossips && c.State().openness() > 0 {
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

// lessLoaded draws two of the comets that are most open to new sessions and chooses the
// one with fewer of them. Two draws are nearly as even as a look at all, and do not send
// everybody to the one comet that has just come.
func lessLoaded(comets []*comet, choose func(int) int) *comet {
	open := make([]*comet, 0, 16)
	most := 1
	for _, c := range comets {
		switch o := c.State().openness(); {
		case o > most:
			open, most = append(open[:0], c), o
		case o == most:
			open = append(open, c)
		}
	}
	n := len(open)
	switch n {
	case 0:
		return nil
	case 1:
		return open[0]
	}
	i, j := choose(n), choose(n-1)
	if j >= i {
		j++
	}
	if open[j].load.sessions() < open[i].load.sessions() {
		i = j
	}
	return open[i]
}
