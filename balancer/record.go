package balancer

import (
	"bytes"
	"net/netip"
	"time"

	"github.com/halleycomet/halley/internal/tunnel"
	"github.com/valyala/fasthttp"
)

// record is one finished request: all that the metrics and the access log say of it.
// Every request makes exactly one, and Balancer.finish takes it; an upgrade makes one
// at its 101, and its tunnel another at its end.
type record struct {
	began time.Time
	ended time.Time // finish asks the clock when it is zero
	// waited is how long the comet took until its answer began; 0 when none did.
	waited time.Duration
	comet  *comet // who was asked last; nil when nobody was
	reason Reason // of the route; or why the balancer answered or refused
	kind   recordKind
	by     answerer
	status int   // 0 when the client got no answer
	in     int64 // bytes of the request's body; of a tunnel, what the client sent
	out    int64 // bytes of the answer's body; of a tunnel, what the client was sent
	// lesson reads along what a comet answers to a handshake; nil when nobody wants it.
	lesson *lesson
	// lost: the comet told a poll that it does not know the session.
	lost bool
	// cut: the answer broke off within its body.
	cut bool
	// end is why the balancer ended a tunnel; tunnel.None when it did not.
	end tunnel.End
}

// recordKind is what kind of request it was, as far as its time is concerned.
type recordKind uint8

const (
	// recordPage: no Bayeux message.
	recordPage recordKind = iota
	// recordMessage: Bayeux messages that are answered at once.
	recordMessage
	// recordPoll: a /meta/connect is among them; it may be held.
	recordPoll
	// recordUpgrade: an upgrade to WebSocket, until its answer.
	recordUpgrade
	// recordTunnel: what came of it, at its end.
	recordTunnel

	recordKinds = int(recordTunnel) + 1
)

// String is the metric label.
func (k recordKind) String() string {
	return [recordKinds]string{"page", "message", "poll", "upgrade", "tunnel"}[k]
}

// answerer is who answered a request.
type answerer uint8

const (
	// byComet: a comet.
	byComet answerer = iota
	// byBalancer: the balancer in a comet's place.
	byBalancer
	// byRefusal: the balancer, of what it passes on to nobody.
	byRefusal
	// byNobody: the client went away before.
	byNobody
)

// String is the field of the access log.
func (a answerer) String() string {
	return [...]string{"comet", "balancer", "refused", "nobody"}[a]
}

// facts are what the access log says of a request beside its record. What they point
// to is read before finish returns, and not kept.
type facts struct {
	client             netip.Addr // who is connected, or whom a trusted proxy names
	method, target     []byte     // as received
	proto, host        []byte
	agent, referer, id []byte
	tls                uint16 // crypto/tls's number of the version; 0 without TLS
}

// described is a request that can tell its facts. It is asked only when they are
// wanted.
type described interface{ describe(*facts) }

// finish counts a finished request, and writes its line in the access log. It may be
// called from any goroutine; of may be nil where nothing is known of the request.
func (b *Balancer) finish(r *record, of described) {
	if r.ended.IsZero() {
		r.ended = time.Now()
	}
	b.metrics.count(r)
	if l := b.accessLog; l != nil {
		l.note(r, of)
	}
}

// describe tells what the access log says of an exchange.
func (rq *exchange) describe(f *facts) {
	describeCtx(rq.ctx, f)
	f.client = rq.ip
	if rq.from.idName != "" {
		f.id = rq.from.id.bytes()
	}
}

// stranger is a request that was refused before anything was made of it.
type stranger struct{ ctx *fasthttp.RequestCtx }

func (s stranger) describe(f *facts) { describeCtx(s.ctx, f) }

func describeCtx(ctx *fasthttp.RequestCtx, f *facts) {
	h := &ctx.Request.Header
	f.client = peerOf(ctx)
	f.method, f.target, f.proto, f.host = h.Method(), h.RequestURI(), h.Protocol(), h.Host()
	f.agent, f.referer = h.UserAgent(), h.Referer()
	if s := ctx.TLSConnectionState(); s != nil {
		f.tls = s.Version
	}
}

// finishRefused makes the record of a request that is refused, of whose body so much
// was read.
func (b *Balancer) finishRefused(ctx *fasthttp.RequestCtx, why Reason, status int, read int64) {
	r := record{began: ctx.Time(), by: byRefusal, reason: why, status: status, in: read}
	switch h := &ctx.Request.Header; {
	case isUpgrade(h):
		r.kind = recordUpgrade
	case underPath(h, b.inForce().Path):
		r.kind = recordMessage // as far as the path tells
	}
	if r.began.IsZero() { // it was never read as a request
		r.began = time.Now()
	}
	if !ctx.IsHead() {
		r.out = int64(len(ctx.Response.Body()))
	}
	b.finish(&r, stranger{ctx})
}

// finishOwn ends the record of an exchange that the balancer has answered, or whose
// client is gone.
func (b *Balancer) finishOwn(rq *exchange, why Reason, by answerer) {
	r := &rq.rec
	r.by, r.reason, r.in = by, why, rq.received()
	if by != byNobody {
		r.status, r.out = rq.ctx.Response.StatusCode(), int64(len(rq.ctx.Response.Body()))
	}
	b.finish(r, rq)
}

// finishAnswered ends the record of an exchange that a comet has answered.
func (b *Balancer) finishAnswered(rq *exchange, d decision) {
	r := &rq.rec
	r.by, r.comet, r.reason, r.in = byComet, d.comet, d.reason, rq.received()
	r.status = rq.ctx.Response.StatusCode()
	b.finish(r, rq)
}

// answered is what follows when a comet's answer was passed on, or broke off: end,
// and the record.
func (b *Balancer) answered(rq *exchange, d decision, end func()) func() {
	return func() {
		end()
		b.finishAnswered(rq, d)
	}
}

// beginWait counts a request that waits for the answer of a comet until the returned
// func is called.
func (b *Balancer) beginWait(c *comet, held bool) (waited func()) {
	b.metrics.held.Inc()
	if !held {
		return b.metrics.held.Dec
	}
	c.load.held.Add(1)
	return func() {
		b.metrics.held.Dec()
		c.load.held.Add(-1)
	}
}

// received is how much of the request's body came.
func (rq *exchange) received() int64 {
	if rq.out.stream != nil {
		return rq.out.stream.read
	}
	return int64(len(rq.out.body))
}

// maxUnknown bounds the length of an answer that is looked at for a 402: such an
// answer is an error and an advice, with nothing delivered.
const maxUnknown = 1 << 10

// isUnknown tells whether a comet says that it does not know the session.
func isUnknown(answer []byte) bool {
	return len(answer) <= maxUnknown && bytes.Contains(answer, []byte(`"402::`))
}

// saw looks at the beginning of an answer to a poll: does it say that the comet does
// not know the session? That is cheap rather than certain: a message that contains the
// words counts as well.
func (r *record) saw(answer []byte) {
	r.lost = r.kind == recordPoll && isUnknown(answer)
}
