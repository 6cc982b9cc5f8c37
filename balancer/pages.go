package balancer

import "github.com/valyala/fasthttp"

// wholeBody is up to which length a body is read before the request is sent on.
// fasthttp reads that much in advance anyway, so it is there already. Longer bodies,
// and those of unknown length, are passed on as they come, beside their answer.
const wholeBody = 8 << 10

// servePage serves everything outside the Bayeux path, where existing fleets have
// their pages: by cookie or address to the comet where the client's session is, any
// method and size, streamed both ways at once.
func (b *Balancer) servePage(ctx *fasthttp.RequestCtx, rq *exchange, body *clientBody) {
	h := &ctx.Request.Header
	length := int64(h.ContentLength())
	switch {
	case body == nil:
		if h.IsGet() || h.IsHead() || h.IsOptions() {
			rq.effect = repeatable // safe methods (RFC 9110, 9.2.1)
		}
	case length > 0 && length <= wholeBody:
		whole, err := readAll(body, length, wholeBody)
		if err != nil {
			b.refuseBody(ctx, body, err)
			return
		}
		rq.out.body, rq.from.body = whole, length
	default:
		rq.out.stream, rq.out.length = body, max(length, bodyChunked)
		rq.out.alone = true
		rq.from.body = rq.out.length
	}
	if o := b.deliver(rq, b.passAnswer(ctx, rq)); o != nil {
		b.answer(ctx, rq, o)
	}
}
