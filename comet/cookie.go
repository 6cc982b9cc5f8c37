package comet

import (
	"github.com/valyala/fasthttp"

	"github.com/halleycomet/halley/internal/sticky"
)

// mint sets a new cookie that is pinned to the comet with the name tag, unless
// the request carries one already: like CometD, a comet adopts any value.
func (s *Server) mint(ctx *fasthttp.RequestCtx, tag sticky.Tag) {
	if len(ctx.Request.Header.Cookie(s.cfg.Cookie.Name)) == 0 {
		ctx.Response.Header.Add(fasthttp.HeaderSetCookie, s.cfg.Cookie.SetCookie(sticky.NewCookie(tag)))
	}
}
