package comet

import (
	"net"
	"strings"

	"github.com/valyala/fasthttp"
)

// request is what callbacks may learn of the HTTP request that brought a message.
// It is a copy, so it outlives the request, and of few headers, so that it costs
// little while a socket is open.
type request struct {
	remote  net.Addr
	headers []header
}

type header struct{ name, value string }

// requestOf is nil when nobody is registered who could ask for it.
func (s *Server) requestOf(ctx *fasthttp.RequestCtx) *request {
	if !s.observed() {
		return nil
	}
	r := &request{remote: ctx.RemoteAddr()}
	for _, name := range s.cfg.RequestHeaders {
		if all := ctx.Request.Header.PeekAll(name); len(all) > 0 {
			values := make([]string, len(all))
			for i, value := range all {
				values[i] = string(value)
			}
			r.headers = append(r.headers, header{name, strings.Join(values, ", ")})
		}
	}
	return r
}

func (r *request) get(name string) string {
	if r == nil {
		return ""
	}
	for _, h := range r.headers {
		if strings.EqualFold(h.name, name) {
			return h.value
		}
	}
	return ""
}

func (r *request) cookie(name string) string {
	for pair := range strings.SplitSeq(r.get(fasthttp.HeaderCookie), ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if key == name {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}
