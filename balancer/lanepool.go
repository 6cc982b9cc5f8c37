package balancer

import (
	"net/netip"
	"slices"
	"time"
)

// lanePool is the connections of one lane to one comet. Idle ones are used newest
// first, like those of upstream.
type lanePool struct {
	lane  *lane
	up    *upstream
	idle  []*laneWire // the longest idle first
	known int         // how many of these, the first, rested before this turn of the loop
	turn  time.Time   // which turn that is
	first *laneWire   // of all
	gone  bool        // nothing is kept any more
}

func (l *lane) pool(u *upstream) *lanePool {
	p := l.pools[u]
	if p == nil {
		p = &lanePool{lane: l, up: u}
		l.pools[u] = p
	}
	return p
}

// take is the newest idle connection that is still good; nil when there is none.
//
// What a comet says unasked must not be taken for the answer to the next request. Behind
// an answer it ends the connection. What comes while the connection rests is an event,
// which may not have been told yet; and the system is asked for events once a turn. So
// those come first that rested when it was last asked, as long as they have no event, and
// only where there is none the system is asked about one more. (What comes between that
// and the request, nobody can tell from its answer.)
//
// One that has rested for long is looked at in any case: that is when comets close them.
func (p *lanePool) take() *laneWire {
	p.settle()
	for len(p.idle) > 0 {
		known := p.known > 0
		i := len(p.idle) - 1
		if known {
			i = p.known - 1
		}
		w := p.idle[i]
		p.remove(i)
		if known && p.lane.since(w.idleSince) < moment && !w.sock.Pending() || w.sock.Quiet() {
			return w
		}
		w.close()
	}
	return nil
}

// settle counts those that are known to have rested when the turn began.
func (p *lanePool) settle() {
	if now := p.lane.loop.Now(); !now.Equal(p.turn) {
		p.turn, p.known = now, len(p.idle)
	}
}

func (p *lanePool) remove(i int) {
	p.idle = slices.Delete(p.idle, i, i+1)
	if i < p.known {
		p.known--
	}
	p.up.kept.Add(-1)
}

// put gives back a connection whose answer has come.
func (p *lanePool) put(w *laneWire) {
	limits := p.up.limits()
	w.client, w.state = nil, wireIdle
	if p.gone || !p.up.keep(limits.MaxIdle) {
		w.close()
		return
	}
	p.settle()
	w.idleSince = p.lane.loop.Now()
	p.idle = append(p.idle, w)
	p.lane.loop.Timeouts(limits.MaxIdleTime).Set(&w.sock)
}

func (p *lanePool) closeIdle() {
	for _, w := range p.idle {
		p.up.kept.Add(-1)
		w.close()
	}
	clear(p.idle)
	p.idle, p.known = p.idle[:0], 0
}

// fail ends the waiting for answers, if none of them has come; with held, of polls
// alone.
func (p *lanePool) fail(why stage, held bool) {
	for w := p.first; w != nil; {
		next := w.next
		switch c := w.client; {
		case c == nil, w.state == wireAnswers, held && c.kind != recordPoll:
		case why == stageReleased && w.state == wireWaits:
			w.release()
		default:
			w.failed(why, errWoken)
		}
		w = next
	}
}

// plain tells whether the comet is reached by the lane: over plain TCP, at an address
// that needs no name to be looked up.
func (u *upstream) plain() bool {
	_, ok := u.literal()
	return ok && u.certName == "" && u.live.conf().CometProxyProtocol == ProxyOff
}

// nameTime is for how long the address behind a name is taken for known.
const nameTime = 30 * time.Second

// seen is the address that was found behind a name.
type seen struct {
	addr netip.AddrPort
	at   time.Time
}

// literal is the address, if it is known: it is one, or the name has been dialled
// lately.
func (u *upstream) literal() (addr netip.AddrPort, ok bool) {
	s := u.seen.Load()
	if s == nil {
		return addr, false
	}
	return s.addr, s.at.IsZero() || time.Since(s.at) <= nameTime
}
