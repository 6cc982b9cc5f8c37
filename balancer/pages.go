package balancer

import "github.com/valyala/fasthttp"

// servePage serves everything outside the Bayeux path, where existing fleets have
// their pages: by cookie or address to the comet where the client's session is, any
// method and size, streamed both ways. The body of a request is passed on before its
// answer is: what talks both ways at once wants a WebSocket.
func (b *Balancer) servePage(ctx *fasthttp.RequestCtx, rq *exchange, body *clientBody) {
	h := &ctx.Request.Header
	if body != nil {
		body.silence = b.cfg.Limits.ReadTimeout
		rq.out.stream, rq.out.length = body, int64(h.ContentLength())
		rq.out.alone = true
		rq.from.body = max(rq.out.length, bodyChunked)
	} else if h.IsGet() || h.IsHead() || h.IsOptions() {
		rq.effect = repeatable // safe methods (RFC 9110, 9.2.1)
	}
	if o := b.deliver(rq, b.passAnswer(ctx)); o != nil {
		b.answer(ctx, rq, o)
	}
}
