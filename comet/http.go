package comet

import (
	"errors"
	"net"
	"strings"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/origins"
)

// Handler serves one request: Bayeux at Path and everywhere below it, 404
// elsewhere. It keeps nothing of ctx.
func (s *Server) Handler(ctx *fasthttp.RequestCtx) {
	defer func() {
		if fault := recover(); fault != nil {
			s.log.Error("panic in a request", zap.Any("panic", fault), zap.Stack("stack"))
			s.refuse(ctx, RefusedPanic, fasthttp.StatusInternalServerError, "internal error")
		}
	}()
	if framedTwice(&ctx.Request.Header) {
		ctx.SetConnectionClose()
		s.refuse(ctx, RefusedHTTP, fasthttp.StatusBadRequest, "a body has one length: Content-Length or Transfer-Encoding")
		return
	}
	if !s.under(string(ctx.Path())) {
		s.refuse(ctx, RefusedPath, fasthttp.StatusNotFound, "nothing here: Bayeux is spoken under "+s.cfg.Path)
		return
	}
	origin := string(ctx.Request.Header.Peek(fasthttp.HeaderOrigin))
	if !s.origins.Allows(origin, string(ctx.Host())) {
		origins.Apply(&ctx.Response.Header, "")
		if suppressed, ok := s.strange.allow(time.Now()); ok {
			s.log.Warn("origin refused", zap.String("origin", cut(origin)), zap.String("host", cut(string(ctx.Host()))), zap.Int("suppressed", suppressed))
		}
		s.refuse(ctx, RefusedOrigin, fasthttp.StatusForbidden, "this origin may not use this server: see its setting origins")
		return
	}
	switch {
	case ctx.IsOptions():
		origins.ApplyPreflight(&ctx.Response.Header, origin)
	case ctx.IsPost() && s.cfg.allows(longPolling):
		origins.Apply(&ctx.Response.Header, origin)
		s.poll(ctx, longPolling, "", origin == "")
	case ctx.IsPost():
		origins.Apply(&ctx.Response.Header, origin)
		s.refuse(ctx, RefusedTransport, fasthttp.StatusBadRequest, "long-polling is not allowed here")
	case ctx.IsGet() && websocket.FastHTTPIsWebSocketUpgrade(ctx) && s.cfg.allows(webSocket):
		s.upgrade(ctx, origin == "")
	case ctx.IsGet() && s.cfg.allows(callbackPolling):
		origins.Apply(&ctx.Response.Header, origin)
		s.jsonp(ctx)
	case ctx.IsGet():
		origins.Apply(&ctx.Response.Header, origin)
		s.refuse(ctx, RefusedTransport, fasthttp.StatusBadRequest, "this transport is not allowed here")
	default:
		ctx.Response.Header.Set(fasthttp.HeaderAllow, "GET, POST, OPTIONS")
		s.refuse(ctx, RefusedMethod, fasthttp.StatusMethodNotAllowed, "use POST, or GET for JSONP and WebSocket")
	}
}

// framedTwice tells whether a request has both a Content-Length and a
// Transfer-Encoding: parsers do not agree on which counts, and RFC 9112, 6.1, lets a
// server refuse it as an attempt at smuggling. fasthttp takes the latter and forgets
// the former, so the headers are looked at as they came.
func framedTwice(h *fasthttp.RequestHeader) bool {
	length, coding := false, false
	for name := range h.AllInOrder() {
		switch string(name) {
		case fasthttp.HeaderContentLength:
			length = true
		case fasthttp.HeaderTransferEncoding:
			coding = true
		}
	}
	return length && coding
}

// under tells whether a path is Path or below it.
func (s *Server) under(path string) bool {
	rest, ok := strings.CutPrefix(path, s.cfg.Path)
	return ok && (rest == "" || rest[0] == '/' || s.cfg.Path == "/")
}

// jsonp serves callback-polling. As in CometD there is no default callback.
func (s *Server) jsonp(ctx *fasthttp.RequestCtx) {
	args := ctx.QueryArgs()
	callback := string(args.Peek(s.cfg.CallbackParameter))
	switch {
	case callback == "":
		s.refuse(ctx, RefusedTransport, fasthttp.StatusBadRequest, "a GET needs "+s.cfg.CallbackParameter+"=callback&message=[…] or a WebSocket upgrade")
	case len(callback) > s.cfg.CallbackParameterMaxLength, !bayeux.ValidCallback(callback):
		s.refuse(ctx, RefusedCallback, fasthttp.StatusBadRequest, "the callback is not a plain name")
	default:
		ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
		s.poll(ctx, callbackPolling, callback, false)
	}
}

// messages reads the messages of a request: the body of a POST, whatever its type
// says, except that a form may carry them in its message fields; of a GET the
// message parameters. Several are read one after the other.
func (s *Server) messages(ctx *fasthttp.RequestCtx, t transport) ([]bayeux.Message, error) {
	var texts [][]byte
	if t == longPolling {
		texts = bayeux.Texts(string(ctx.Request.Header.ContentType()), ctx.PostBody())
	} else {
		texts = ctx.QueryArgs().PeekMulti("message")
	}
	size := 0
	for _, text := range texts {
		if size += len(text); size > s.cfg.MaxMessageSize {
			return nil, fasthttp.ErrBodyTooLarge
		}
	}
	return bayeux.ParseAll(texts)
}

// refuse answers a request that is no Bayeux, in plain text.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, why Refusal, status int, text string) {
	s.refused(why, zap.ByteString("path", ctx.Path()), zap.Stringer("remote", ctx.RemoteAddr()))
	ctx.Response.ResetBody()
	ctx.Response.SetStatusCode(status)
	ctx.Response.Header.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	ctx.SetContentType("text/plain; charset=utf-8")
	ctx.SetBodyString(text + "\n")
}

// refuseError answers a request whose messages could not be read.
func (s *Server) refuseError(ctx *fasthttp.RequestCtx, err error) {
	switch why := refusalOf(err); why {
	case RefusedTooLarge:
		s.refuse(ctx, why, fasthttp.StatusRequestEntityTooLarge, "the request is too large")
	default:
		s.refuse(ctx, why, fasthttp.StatusBadRequest, err.Error())
	}
}

func refusalOf(err error) Refusal {
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return RefusedTooLarge
	case errors.Is(err, bayeux.ErrTooDeep):
		return RefusedDepth
	case errors.Is(err, bayeux.ErrSyntax):
		return RefusedJSON
	}
	return RefusedShape
}

// badRequest answers what fasthttp could not read as a request.
func (s *Server) badRequest(ctx *fasthttp.RequestCtx, err error) {
	s.renewDeadline(ctx.Conn(), fasthttp.StateActive)
	var header *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		s.refuse(ctx, RefusedTooLarge, fasthttp.StatusRequestEntityTooLarge, "the request is too large")
	case errors.As(err, &header):
		s.refuse(ctx, RefusedHeader, fasthttp.StatusRequestHeaderFieldsTooLarge, "the request header is too large")
	case errors.As(err, &network) && network.Timeout():
		s.refuse(ctx, RefusedSlow, fasthttp.StatusRequestTimeout, "the request did not come in time")
	default:
		s.refuse(ctx, RefusedHTTP, fasthttp.StatusBadRequest, "this is not HTTP")
	}
}
