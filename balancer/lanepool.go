package balancer

import (
	"net/netip"
	"time"
)

// lanePool is the connections of one lane to one comet. Idle ones are used newest
// first, like those of upstream.
type lanePool struct {
	lane  *lane
	up    *upstream
	idle  []*laneWire
	first *laneWire // of all
	gone  bool      // nothing is kept any more
}

func (l *lane) pool(u *upstream) *lanePool {
	p := l.pools[u]
	if p == nil {
		p = &lanePool{lane: l, up: u}
		l.pools[u] = p
	}
	return p
}

// take is the newest idle connection that is still good; nil when there is none. Its
// end is an event, which may not have been looked at yet.
func (p *lanePool) take() *laneWire {
	for n := len(p.idle); n > 0; n = len(p.idle) {
		w := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.up.kept.Add(-1)
		w.sock.ClearTimeout()
		if p.lane.since(w.idleSince) < moment || w.sock.Quiet() {
			return w
		}
		w.close()
	}
	return nil
}

// put gives back a connection whose answer has come.
func (p *lanePool) put(w *laneWire) {
	limits := p.up.limits()
	w.client, w.state = nil, wireIdle
	if p.gone || !p.up.keep(limits.MaxIdle) {
		w.close()
		return
	}
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
	p.idle = p.idle[:0]
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
