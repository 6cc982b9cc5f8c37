package comet

import (
	"github.com/valyala/fasthttp"

	"github.com/halleycomet/halley/internal/sticky"
)

// cookieOf is the value of the request's browser cookie, empty without one.
func (s *Server) cookieOf(ctx *fasthttp.RequestCtx) string {
	return string(ctx.Request.Header.Cookie(s.cfg.Cookie.Name))
}

// browserOf is by what a browser is known of the value of its cookie: the part that
// stays when a balancer pins the browser to another comet.
func browserOf(cookie string) string {
	if _, random, ok := sticky.SplitCookie(cookie); ok {
		return random
	}
	return cookie
}

// mint sets a new cookie, unless the request carries one already: like CometD, a
// comet adopts any value.
func (s *Server) mint(ctx *fasthttp.RequestCtx, had, minted string) {
	if had == "" {
		ctx.Response.Header.Add(fasthttp.HeaderSetCookie, s.cfg.Cookie.SetCookie(minted))
	}
}
