package balancer

import (
	"context"
	"sync"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
)

const (
	// partAfter is how long the session of a client that was moved lives on at its
	// comet: what the client had sent before it knew is still taken.
	partAfter = 2 * time.Second
	// partTime bounds one /meta/disconnect.
	partTime = 2 * time.Second
	// maxPartings bounds those that wait. Beyond it sessions are left to expire, as
	// those whose comet does not answer are.
	maxPartings = 10_000
	// maxPartAnswer bounds the answer, in bytes.
	maxPartAnswer = 64 << 10
)

// parting is a /meta/disconnect for a session whose client was moved, and when it is
// due.
type parting struct {
	due time.Time
	out outgoing
}

// partings are those of one drain, the first due first.
type partings struct {
	mu sync.Mutex
	// Guarded by mu.
	waiting []parting
}

func (p *partings) add(one parting) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) >= maxPartings {
		return false
	}
	p.waiting = append(p.waiting, one)
	return true
}

// due takes the first if its time has come.
func (p *partings) due(now time.Time) (parting, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 || now.Before(p.waiting[0].due) {
		return parting{}, false
	}
	one := p.waiting[0]
	p.waiting[0] = parting{}
	p.waiting = p.waiting[1:]
	return one, true
}

// partLater has the session of an exchange ended at its comet, in the name of its
// client: with the same headers.
func (b *Balancer) partLater(rq *exchange, d decision, clientID string) {
	bye := bayeux.Message{Raw: bayeux.RawJSON(`{"id":"bye","channel":"/meta/disconnect"}`).With("clientId", bayeux.String(clientID))}
	one := parting{due: time.Now().Add(partAfter), out: outgoing{wait: partTime}}
	from := rq.from
	rq.write([]bayeux.Message{bye}, &one.out, &from)
	one.out.head = appendHead(nil, &from, d.comet.Addr, rq.conf.Cookie.Name, d.requestCookie)
	if !rq.farewell.drain.partings.add(one) {
		b.metrics.unparted.Inc()
	}
}

// part ends the sessions whose clients were moved, one after the other, until ctx
// ends. Those that are left then expire by themselves.
func (b *Balancer) part(ctx context.Context, dr *drain) {
	tick := time.NewTicker(drainLook)
	defer tick.Stop()
	for {
		for one, ok := dr.partings.due(time.Now()); ok && ctx.Err() == nil; one, ok = dr.partings.due(time.Now()) {
			if err := tell(dr.comet, &one.out, b.conf().Limits.DialTimeout); err != nil {
				b.metrics.unparted.Inc()
				b.log.Debug("a session that was moved is left to expire", zap.String("comet", dr.comet.name), zap.Error(err))
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// tell sends a request of the balancer's own to a comet, and drops the answer.
func tell(c *comet, out *outgoing, dialTimeout time.Duration) error {
	w, fail := roundTrip(c, out, false, dialTimeout, func() *failure { return nil })
	if fail != nil {
		return fail
	}
	br, answer := getReader(w), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(answer)
	err := answer.ReadLimitBody(br, maxPartAnswer)
	if err != nil || answer.ConnectionClose() || br.Buffered() > 0 {
		w.close()
	} else {
		w.up.put(w)
	}
	putReader(br)
	return err
}
