package demo

import (
	"embed"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/halleycomet/halley/internal/origins"
	"github.com/halleycomet/halley/internal/sticky"
)

//go:embed page
var files embed.FS

// served are the files of the page, by path.
var served = map[string]struct{ file, kind string }{
	"/":               {"page/index.html", "text/html; charset=utf-8"},
	"/demo/page.css":  {"page/page.css", "text/css; charset=utf-8"},
	"/demo/page.js":   {"page/page.js", "text/javascript; charset=utf-8"},
	"/demo/bayeux.js": {"page/bayeux.js", "text/javascript; charset=utf-8"},
}

// pagePolicy lets the page load from its own origin alone, and speak to the
// balancer under any loopback name.
const pagePolicy = "default-src 'self'; img-src 'self' data:; connect-src 'self' http://localhost:* http://127.0.0.1:* ws://localhost:* ws://127.0.0.1:*"

// cometStatus is one comet in the answer of GET /demo/comets.
type cometStatus struct {
	Name     string `json:"name"`
	Tag      string `json:"tag"`      // of its clientIds; empty while it is stopped
	URL      string `json:"url"`      // its own, behind the balancer
	State    string `json:"state"`    // as the balancer sees it
	Running  bool   `json:"running"`  // what the buttons made of it
	Sessions int    `json:"sessions"` // by its own count
}

// serve answers the paths of the demo and leaves all others to the balancer.
func (d *demo) serve(ctx *fasthttp.RequestCtx) {
	path := string(ctx.Request.Header.RequestURI())
	path, query, _ := strings.Cut(path, "?")
	if f, ok := served[path]; ok && ctx.IsGet() {
		d.file(ctx, f.file, f.kind)
		return
	}
	rest, ok := strings.CutPrefix(path, "/demo/")
	if !ok {
		d.balancer.Handler(ctx)
		return
	}
	if origin := string(ctx.Request.Header.Peek(fasthttp.HeaderOrigin)); origin != "" {
		if !d.origins.Allows(origin, string(ctx.Request.Header.Host())) {
			fail(ctx, "this origin may not command the demo", fasthttp.StatusForbidden)
			return
		}
		origins.Apply(&ctx.Response.Header, origin)
	}
	d.command(ctx, rest, query)
}

// fail answers with an error. Unlike ctx.Error it keeps the headers that let a page
// read it.
func fail(ctx *fasthttp.RequestCtx, why string, status int) {
	ctx.SetStatusCode(status)
	ctx.SetContentType("text/plain; charset=utf-8")
	ctx.SetBodyString(why)
}

func (d *demo) file(ctx *fasthttp.RequestCtx, name, kind string) {
	body, err := files.ReadFile(name)
	if err != nil {
		fail(ctx, err.Error(), fasthttp.StatusInternalServerError)
		return
	}
	ctx.Response.Header.Set(fasthttp.HeaderContentSecurityPolicy, pagePolicy)
	ctx.Response.Header.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-cache")
	ctx.SetContentType(kind)
	ctx.SetBody(body)
}

// command answers what stands behind /demo/.
func (d *demo) command(ctx *fasthttp.RequestCtx, rest, query string) {
	word := strings.Split(rest, "/")
	switch {
	case ctx.IsGet() && rest == "comets":
		body, err := json.Marshal(d.status())
		if err != nil {
			fail(ctx, err.Error(), fasthttp.StatusInternalServerError)
			return
		}
		ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
		ctx.SetContentType("application/json")
		ctx.SetBody(body)
	case ctx.IsPost() && len(word) == 3 && word[0] == "comets":
		d.button(ctx, word[1], word[2])
	case ctx.IsPost() && rest == "move":
		var args fasthttp.Args
		args.Parse(query)
		d.move(ctx, string(args.Peek("from")))
	default:
		fail(ctx, "the demo has no such path", fasthttp.StatusNotFound)
	}
}

// button stops or starts a comet.
func (d *demo) button(ctx *fasthttp.RequestCtx, name, verb string) {
	at := slices.IndexFunc(d.nodes, func(n *node) bool { return n.name == name })
	if at < 0 {
		fail(ctx, "no such comet", fasthttp.StatusNotFound)
		return
	}
	var err error
	switch verb {
	case "stop":
		err = d.nodes[at].stop()
	case "start":
		err = d.start(d.nodes[at])
	default:
		fail(ctx, "a comet can be stopped and started", fasthttp.StatusNotFound)
		return
	}
	switch {
	case errors.Is(err, errRunning), errors.Is(err, errStopped):
		fail(ctx, err.Error(), fasthttp.StatusConflict)
	case err != nil:
		fail(ctx, err.Error(), fasthttp.StatusInternalServerError)
	default:
		ctx.SetStatusCode(fasthttp.StatusNoContent)
	}
}

// move pins the browser to another comet: the next handshake goes where the
// cookie says.
func (d *demo) move(ctx *fasthttp.RequestCtx, from string) {
	others := slices.DeleteFunc(d.status(), func(c cometStatus) bool {
		return c.Name == from || c.State != "healthy"
	})
	if len(others) == 0 {
		fail(ctx, "no other comet is healthy", fasthttp.StatusConflict)
		return
	}
	to := others[rand.IntN(len(others))]
	var cookie fasthttp.Cookie
	cookie.SetKey(d.cookieName)
	cookie.SetValue(sticky.NewCookie(sticky.NameTag(to.Name)))
	cookie.SetPath("/")
	cookie.SetHTTPOnly(true)
	ctx.Response.Header.SetCookie(&cookie)
	ctx.SetStatusCode(fasthttp.StatusNoContent)
}

// status joins what the balancer sees with what the buttons did.
func (d *demo) status() []cometStatus {
	seen := d.balancer.Comets()
	out := make([]cometStatus, 0, len(d.nodes))
	for _, n := range d.nodes {
		c := cometStatus{Name: n.name, State: "down"}
		if l := n.current(); l != nil {
			c.Running, c.Tag, c.URL, c.Sessions = true, string(l.tag), l.url, l.server.Sessions()
			c.State = "unknown"
			for _, s := range seen {
				if s.Tag == c.Tag {
					c.State = s.State
				}
			}
		}
		out = append(out, c)
	}
	return out
}
