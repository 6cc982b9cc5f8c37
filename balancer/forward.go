package balancer

import (
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/sticky"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
)

// exchange is one request of a client and what was found out about it. It belongs to
// the goroutine of its handler.
type exchange struct {
	request
	ctx       *fasthttp.RequestCtx // until its answer is written
	rec       record
	farewell  *farewell // moves its client to another comet; nil as a rule
	original  *original
	stranger  bool             // the comet that is left does not know its session
	called    bool             // its comet is asked for what waits, since the balancer stops
	kept      *wire            // on which that comet holds the poll as it came; nil: it does not
	conf      *inForce         // the configuration, from its beginning to its end
	messages  []bayeux.Message // nil when there are none to be answered one by one
	callback  string           // of JSONP; empty for JSON
	preflight bool             // a CORS preflight of the Bayeux path
	effect    effect
	from      headFrom
	out       outgoing
	tried     *tried        // what became of it in the lane; nil when it was not sent there
	hold      time.Duration // how long it may wait for a comet
	holdUntil time.Time     // until when that is, once it waits
	admitted  bool          // it had its turn among those who begin a session
	back      time.Duration // set when it is to come back for that, and after how long
}

// outcome is how a request ended that no comet has answered.
type outcome struct {
	why   Reason
	reply replier
	// hangUp: the client is gone, or its upload broke off: broke tells how.
	hangUp bool
	broke  error
	// gone: it hung up while it waited, and nothing can be said to it.
	gone bool
	// back is after how long the client is to come back, when that is known.
	back time.Duration
}

// pass takes the answer that has begun on w to the client and gives the connection
// back. It calls end when all has been passed on; after a failure, with nothing
// passed on, it does not, and w is closed.
type pass func(w *wire, d decision, end func()) *failure

// maxMoves bounds how many comets one request is sent to.
const maxMoves = 4

// deliver sends a request to its comet and has the answer passed on. It returns nil
// when that was done.
func (b *Balancer) deliver(rq *exchange, pass pass) *outcome {
	defer rq.out.vigil.end()
	defer rq.letKeptGo()
	var d decision
	if rq.tried != nil {
		d = rq.tried.decision
	} else {
		if o := b.tooFast(rq); o != nil {
			return o
		}
		d = b.place(rq)
	}
	for move := 0; d.comet != nil && move < maxMoves; move++ {
		v, fail := b.try(rq, d, pass)
		if fail == nil {
			return nil
		}
		b.log.Debug("request failed", zap.String("comet", d.comet.name), zap.Error(fail))
		switch v {
		case hangUp:
			return &outcome{hangUp: true, gone: fail.stage == stageGone, broke: fail.err}
		case later:
			why := laterReason(fail.stage)
			return &outcome{why: why, reply: tryLater(b.laterInterval(why))}
		case moved:
			return b.pushOut(d.comet)
		case moveOn:
			return &outcome{why: ReasonStopping, reply: goOn(b.releaseInterval())}
		case aside:
			if other, found := b.another(rq, d); found {
				d = other
			}
		case unsure:
			other, found := b.another(rq, d)
			if !found {
				return &outcome{why: unsureReason(fail.stage), reply: cometLost(b.retryInterval())}
			}
			d = other
		default:
			d = b.place(rq)
		}
		b.metrics.reroutes.WithLabelValues(fail.stage.String()).Inc()
	}
	switch {
	case rq.out.vigil.left():
		return &outcome{hangUp: true, gone: true}
	case d.owner != nil:
		return &outcome{why: d.reason, reply: sessionLost(b.handshakeInterval(d.owner))}
	case d.comet != nil: // one comet after the other has failed
		return &outcome{why: ReasonNoComet, reply: tryLater(b.retryInterval())}
	case rq.back > 0:
		return &outcome{why: d.reason, reply: tooMany(rq.back), back: rq.back}
	}
	return &outcome{why: d.reason, reply: tryLater(b.retryInterval())}
}

func unsureReason(s stage) Reason {
	if s == stageTimeout {
		return ReasonTimeout
	}
	return ReasonCometLost
}

// try sends a request to one comet, several times if need be.
func (b *Balancer) try(rq *exchange, d decision, pass pass) (verdict, *failure) {
	c := d.comet
	limits := &rq.conf.Limits
	var room slot
	if rq.tried != nil {
		room = rq.tried.room
	} else {
		var fail *failure
		if room, fail = b.enter(rq, d); fail != nil {
			return afterFailure(fail.stage, rq.effect, trial{}, limits.Redial), fail
		}
	}
	c.load.begin()
	end := func() {
		c.load.done()
		room.leave()
	}
	out := &rq.out
	b.takeTurn(rq, d)
	out.head = appendHead(out.head[:0], &rq.from, c.Addr, rq.conf.Cookie.Name, d.requestCookie)
	may := func() *failure {
		switch {
		case out.vigil.left():
			return &failure{stage: stageGone, err: errWoken}
		case !c.living().lives():
			return &failure{stage: stageDown, err: errWoken}
		case out.held && b.isStopping():
			return &failure{stage: stageReleased, err: errWoken}
		}
		return nil
	}
	var t trial
	var failing time.Time // since when its dials fail
	for fresh := out.alone; ; fresh = true {
		if out.held && out.vigil.left() { // what is no poll is sent all the same
			end()
			return hangUp, &failure{stage: stageGone, err: errWoken}
		}
		began := time.Now()
		var w *wire
		var fail *failure
		if before := rq.tried; before != nil {
			rq.tried = nil
			began, w, fail, rq.rec.waited = before.began, before.wire, before.fail, before.waited
		} else if out.held && b.isStopping() && rq.onlyConnects() {
			fail = &failure{stage: stageReleased, err: errWoken}
		} else {
			waited := b.beginWait(c, out.held)
			w, fail = roundTrip(c, out, fresh, limits.DialTimeout, may)
			waited()
			rq.rec.waited = time.Since(began)
		}
		if fail == nil {
			b.fleet.answered(c)
			if fail = pass(w, d, end); fail == nil {
				b.fleet.observe(c, faultOfStatus(rq.ctx.Response.StatusCode(), rq.kind, out.held), &rq.request)
				return again, nil
			}
		}
		b.fleet.observe(c, faultOf(fail.stage, rq.kind, fail.reused), &rq.request)
		dialFailed := fail.stage == stageDialTimeout || fail.stage == stageUnreachable
		if dialFailed {
			if failing.IsZero() {
				failing = began
			}
			t.dialing = time.Since(failing)
		} else {
			failing = time.Time{}
		}
		effect := rq.effect
		if out.spent {
			effect = once
			if fail.stage == stageUnsent {
				fail.stage = stageSent
			}
		}
		v := afterFailure(fail.stage, effect, t, limits.Redial)
		if v == unsure && rq.called {
			v = moveOn
		}
		if v != again {
			end()
			if fail.kept != nil {
				fail.kept.close()
			}
			switch fail.stage {
			case stageRefused:
				b.fleet.refused(c)
			case stageDialTimeout, stageUnreachable:
				if b.fleet.unreachable(c, fail) { // it keeps its sessions
					v = b.asideOrLater(rq, d)
				}
			}
			return v, fail
		}
		b.metrics.reroutes.WithLabelValues(fail.stage.String()).Inc()
		if fail.stage == stageTurn || fail.stage == stageKept {
			if fail.stage == stageKept {
				rq.call(fail.kept)
			} else {
				b.takeTurn(rq, d)
			}
			out.head = appendHead(out.head[:0], &rq.from, c.Addr, rq.conf.Cookie.Name, d.requestCookie)
			continue
		}
		if dialFailed {
			out.vigil.begin()
			<-time.After(redialPause) // a host that is out of reach may be said to be so at once
		} else {
			t.resent++
		}
	}
}

// asideOrLater is what follows when a comet cannot take a request and is not down.
func (b *Balancer) asideOrLater(rq *exchange, d decision) verdict {
	if _, found := b.another(rq, d); found {
		return aside
	}
	return later
}

// redialPause parts the dials of a comet that does not answer them.
const redialPause = 20 * time.Millisecond

// another is the decision for a handshake that its comet has failed: any other comet
// will do, and the cookie names the one that answers.
func (b *Balancer) another(rq *exchange, d decision) (decision, bool) {
	if !rq.handshake || rq.effect != repeatable {
		return d, false
	}
	var others []*comet
	for _, c := range b.fleet.snapshot().comets {
		if c != d.comet {
			others = append(others, c)
		}
	}
	o := b.fleet.routing()
	to := lessLoaded(others, &o)
	if to == nil {
		return d, false
	}
	if d.setCookie == "" && rq.conf.Keys.Cookie {
		if _, _, ok := sticky.SplitCookie(rq.cookie); ok {
			d.setCookie = rq.cookie
		}
	}
	d = d.moved(to)
	d.reason = ReasonRepinned
	return d, true
}
