package balancer

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime/debug"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
)

// Reasons for which a request is refused.
const (
	reasonMethod      Reason = "method"       // CONNECT, TRACE
	reasonVersion     Reason = "version"      // not HTTP/1.0 or 1.1
	reasonExpectation Reason = "expectation"  // Expect with anything but 100-continue
	reasonUpgradeBody Reason = "upgrade_body" // an upgrade with a body
	reasonTooLarge    Reason = "too_large"    // a Bayeux body over Limits.MaxBody
	reasonBody        Reason = "body"         // the body did not come, or is malformed
	reasonMalformed   Reason = "malformed"    // no HTTP request
	reasonHeaders     Reason = "headers"      // a head that is too long
	reasonPlainHTTP   Reason = "plain_http"   // sent to https
	reasonTimeout     Reason = "timeout"      // a head that did not come
	reasonPanic       Reason = "panic"        // a mistake of the balancer's own
)

// guard runs a handler: a panic costs its request and not the process, and no byte of
// a body that nobody has read is taken for the next request.
func (b *Balancer) guard(handler fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		trailers := beforeTrailers(&ctx.Request.Header)
		if c := clientOf(ctx.Conn()); c != nil {
			c.rests.Store(0)
		}
		defer func() {
			if r := recover(); r != nil {
				b.log.Error("panic in a handler", zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))
				ctx.Response.Reset()
				b.refuse(ctx, reasonPanic, fasthttp.StatusInternalServerError, "internal error\n")
				ctx.SetConnectionClose()
			}
			b.tellSecure(ctx)
			finishBody(ctx)
			if trailers.came(&ctx.Request.Header) {
				ctx.SetConnectionClose()
			}
			if ctx.Hijacked() {
				endTurn(ctx.Conn()) // another goroutine goes on with it
			}
			if b.isStopping() {
				ctx.SetConnectionClose()
			}
		}()
		if announcedTooMuch(&ctx.Request.Header) {
			b.refuseTooLarge(ctx, 0)
			leaveUnread(ctx.Conn(), true)
			return
		}
		handler(ctx)
	}
}

// Handler serves one request. It depends on the settings of the balancer's own
// server, so it is for a handler that was given to [Balancer.ServeHandler], to which
// it leaves what that does not serve itself.
func (b *Balancer) Handler(ctx *fasthttp.RequestCtx) {
	h := &ctx.Request.Header
	odd := oddHead(h)
	switch {
	case h.IsConnect(), h.IsTrace():
		b.refuse(ctx, reasonMethod, fasthttp.StatusMethodNotAllowed, "this method is not served\n")
		ctx.SetConnectionClose()
		return
	case !h.IsHTTP11() && string(h.Protocol()) != "HTTP/1.0":
		b.refuse(ctx, reasonVersion, fasthttp.StatusHTTPVersionNotSupported, "this version of HTTP is not spoken here\n")
		ctx.SetConnectionClose()
		return
	case odd != "":
		b.refuse(ctx, reasonMalformed, fasthttp.StatusBadRequest, odd)
		ctx.SetConnectionClose()
		return
	case oddExpectation(h):
		b.refuse(ctx, reasonExpectation, fasthttp.StatusExpectationFailed, "this expectation cannot be met\n")
		ctx.SetConnectionClose()
		return
	}
	if b.toHTTPS(ctx) {
		return
	}
	body := bodyOf(ctx)
	rq := b.newExchange(ctx)
	if body == nil && wroteLength(h) {
		rq.from.body = 0
	}
	under := underPath(h, rq.conf.Path)
	switch {
	case isUpgrade(h) && body != nil:
		b.refuse(ctx, reasonUpgradeBody, fasthttp.StatusBadRequest, "an upgrade has no body\n")
		ctx.SetConnectionClose()
	case isUpgrade(h):
		b.serveUpgrade(ctx, rq, under)
	case under:
		b.serveBayeux(ctx, rq, body)
	default:
		b.servePage(ctx, rq, body)
	}
}

// newExchange gathers the facts by which any request is routed.
func (b *Balancer) newExchange(ctx *fasthttp.RequestCtx) *exchange {
	rq := &exchange{ctx: ctx, rec: record{began: ctx.Time(), kind: recordPage}}
	rq.learn(&ctx.Request.Header, b.inForce(), peerOf(ctx), ctx.IsTLS())
	rq.out.from = originOf(rq.conf.CometProxyProtocol, rq.ip, ctx.RemoteAddr(), ctx.LocalAddr())
	if c, ok := ctx.Conn().(*secureConn); ok {
		rq.from.subject = c.subject
	}
	if rq.tried = triedBefore(ctx.Conn()); rq.tried != nil {
		rq.rec.began = rq.tried.began
		if rq.tried.id.n > 0 {
			rq.from.id = rq.tried.id // that which the comet was sent
		}
	}
	rq.out.turn = turnOf(ctx.Conn())
	return rq
}

// learn is what the head of a request tells of it.
func (rq *exchange) learn(h *fasthttp.RequestHeader, conf *inForce, peer netip.Addr, https bool) {
	rq.conf = conf
	rq.request = request{kind: kindPage, ip: conf.proxies.client(peer, h.PeekAll(fasthttp.HeaderXForwardedFor))}
	rq.from = newHeadFrom(conf, h, peer, https)
	rq.effect = once
	rq.out.wait = conf.Limits.UpstreamTimeout
	rq.hold = conf.Limits.Hold
	rq.cookie, rq.severalOf = readCookie(h.PeekAll(fasthttp.HeaderCookie), conf.Cookie.Name)
}

// serveUpgrade serves an upgrade to WebSocket, of the Bayeux path or another.
func (b *Balancer) serveUpgrade(ctx *fasthttp.RequestCtx, rq *exchange, bayeuxPath bool) {
	rq.upgrade = true
	if bayeuxPath {
		rq.kind = kindBayeux
	}
	rq.rec.kind = recordUpgrade
	rq.effect = repeatable // nothing is said yet
	rq.from.upgrade = true
	rq.out.alone = true
	switch o := b.deliver(rq, b.passUpgrade(ctx, rq)); {
	case o == nil:
	case o.hangUp || !bayeuxPath:
		b.answer(ctx, rq, o)
	default:
		b.answerSocket(ctx, rq, o)
	}
}

// serveBayeux serves a request to the Bayeux path. Its body is kept: it decides the
// route, and may be sent again. What cannot be read as messages is passed on by
// cookie or address like any other request, and it is the comet that refuses it: the
// client gets the very answer that it would get without a balancer.
func (b *Balancer) serveBayeux(ctx *fasthttp.RequestCtx, rq *exchange, body *clientBody) {
	if body != nil {
		whole, err := readAll(body, int64(ctx.Request.Header.ContentLength()), rq.conf.Limits.MaxBody)
		switch {
		case errors.Is(err, errTooLarge):
			b.refuseTooLarge(ctx, body.read)
			return
		case err != nil:
			b.refuseBody(ctx, body, err)
			return
		}
		rq.out.body = whole
	}
	if body != nil {
		rq.from.body = int64(len(rq.out.body))
	}
	if messages, callback, err := readMessages(ctx, rq.out.body); err == nil {
		rq.kind = kindBayeux
		rq.messages, rq.callback = messages, callback
		rq.rec.kind = recordMessage
		rq.peek(messages)
		rq.effect = effectOf(messages)
		rq.out.vigil = &vigil{watcher: b.watch, conn: ctx.Conn(), out: &rq.out}
		if hasConnect(messages) {
			rq.out.wait, rq.out.held = rq.conf.Limits.ConnectTimeout, true
			rq.rec.kind = recordPoll
		}
	} else if ctx.IsOptions() {
		rq.preflight, rq.effect = true, repeatable
		rq.hold = 0 // not worth waiting for
	}
	if o := b.deliver(rq, b.passAnswer(ctx, rq)); o != nil {
		if rq.preflight && !o.hangUp {
			b.answerPreflight(ctx, rq)
			return
		}
		b.answer(ctx, rq, o)
	}
}

// passAnswer passes the answer to a request on, with the cookie that was decided.
func (b *Balancer) passAnswer(ctx *fasthttp.RequestCtx, rq *exchange) pass {
	return func(w *wire, d decision, end func()) *failure {
		if rq.farewell != nil || rq.called || d.reason == ReasonDraining {
			return b.passWhole(rq, w, d, end) // a session that goes on, and sets no cookie
		}
		rq.rec.lesson = b.lessonOf(rq, d.comet)
		fail := relay(ctx, w, getReader(w), &rq.conf.Limits, &rq.rec, b.answered(rq, d, end),
			func(answer []byte) bool { return b.denied(rq, d, answer) })
		if fail == nil {
			answerID(&ctx.Response.Header, &rq.from)
		}
		if fail == nil && d.setCookie != "" {
			ctx.Response.Header.Add(fasthttp.HeaderSetCookie, rq.conf.Cookie.SetCookie(d.setCookie))
		}
		return fail
	}
}

// refuse answers what is not passed on to any comet.
func (b *Balancer) refuse(ctx *fasthttp.RequestCtx, why Reason, status int, text string) {
	refuse(ctx, status, text)
	b.finishRefused(ctx, why, status, 0)
}

// parseError answers what fasthttp could not read as a request. Nothing of it is
// repeated in the answer.
func (b *Balancer) parseError(ctx *fasthttp.RequestCtx, err error) {
	var small *fasthttp.ErrSmallBuffer
	var timeout net.Error
	switch {
	case errors.As(err, &small):
		b.refuse(ctx, reasonHeaders, fasthttp.StatusRequestHeaderFieldsTooLarge, "the head of the request is too long\n")
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, fasthttp.ErrTimeout):
		b.refuse(ctx, reasonTimeout, fasthttp.StatusRequestTimeout, "the request did not come\n")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &timeout):
		// Hung up, or at least no more will be sent: it was no request, and counts as none.
		refuse(ctx, fasthttp.StatusBadRequest, "the request did not come\n")
	default:
		b.refuse(ctx, reasonMalformed, fasthttp.StatusBadRequest, "this is no HTTP request\n")
	}
}

// wroteLength tells whether the client itself wrote a Content-Length. fasthttp
// makes one for a request without a body whose method could have one.
func wroteLength(h *fasthttp.RequestHeader) bool {
	for name := range h.AllInOrder() {
		if string(name) == fasthttp.HeaderContentLength {
			return true
		}
	}
	return false
}

// underPath tells whether a request is for the Bayeux endpoint: the path itself and
// everything below it, as it is written in the request.
func underPath(h *fasthttp.RequestHeader, prefix string) bool {
	path, _ := target(h)
	path, _, _ = bytes.Cut(path, []byte{'?'})
	rest, ok := bytes.CutPrefix(path, []byte(prefix))
	return ok && (len(rest) == 0 || rest[0] == '/' || prefix == "/")
}

// peerOf is the address that is connected.
func peerOf(ctx *fasthttp.RequestCtx) netip.Addr {
	if a, ok := ctx.RemoteAddr().(*net.TCPAddr); ok {
		return plain(a.AddrPort().Addr())
	}
	return netip.IPv4Unspecified()
}
