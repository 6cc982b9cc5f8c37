package comet

import (
	"fmt"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/halleycomet/halley/internal/sticky"
)

// Cookie holds the name and the attributes of the browser cookie. A comet sets
// it with a successful handshake over HTTP, and only when the request brought
// none: like CometD, it adopts any value that it is sent.
type Cookie struct {
	// Name [cookie-name]. Default BAYEUX_BROWSER, as CometD.
	Name string
	// Domain [cookie-domain] and Path [cookie-path]. Default none and "/".
	Domain string
	Path   string
	// MaxAge [cookie-max-age] in seconds; negative, the default, leaves it out,
	// so that the cookie ends with the browser.
	MaxAge int
	// Secure [cookie-secure], HTTPOnly [cookie-http-only] and Partitioned
	// [cookie-partitioned]. Only HTTPOnly is on by default.
	Secure      bool
	HTTPOnly    bool
	Partitioned bool
	// SameSite [cookie-same-site] is Lax, Strict, None or, the default, empty:
	// the attribute is left out. None needs Secure.
	SameSite string
}

// DefaultCookie is CometD's.
func DefaultCookie() Cookie {
	return Cookie{Name: "BAYEUX_BROWSER", Path: "/", MaxAge: -1, HTTPOnly: true}
}

var sameSite = map[string]fasthttp.CookieSameSite{
	"":       fasthttp.CookieSameSiteDisabled,
	"lax":    fasthttp.CookieSameSiteLaxMode,
	"strict": fasthttp.CookieSameSiteStrictMode,
	"none":   fasthttp.CookieSameSiteNoneMode,
}

func (c *Cookie) validate() (errs []error) {
	if c.Name == "" || strings.ContainsFunc(c.Name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	}) {
		errs = append(errs, fmt.Errorf("cookie-name: %q is not a cookie name", c.Name))
	}
	for _, a := range [][2]string{{"cookie-domain", c.Domain}, {"cookie-path", c.Path}} {
		if strings.ContainsAny(a[1], "; \t\r\n") {
			errs = append(errs, fmt.Errorf("%s: %q holds a space or semicolon", a[0], a[1]))
		}
	}
	mode, ok := sameSite[strings.ToLower(c.SameSite)]
	if !ok {
		errs = append(errs, fmt.Errorf("cookie-same-site: %q is none of Lax, Strict, None", c.SameSite))
	}
	if mode == fasthttp.CookieSameSiteNoneMode && !c.Secure {
		errs = append(errs, fmt.Errorf("cookie-same-site: None needs cookie-secure"))
	}
	if c.Partitioned && !c.Secure {
		errs = append(errs, fmt.Errorf("cookie-partitioned: needs cookie-secure"))
	}
	return errs
}

// mint sets a new cookie that is pinned to the comet with the name tag, unless
// the request carries one already.
func (c *Cookie) mint(ctx *fasthttp.RequestCtx, tag sticky.Tag) {
	if len(ctx.Request.Header.Cookie(c.Name)) > 0 {
		return
	}
	k := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(k)
	k.SetKey(c.Name)
	k.SetValue(sticky.NewCookie(tag))
	k.SetPartitioned(c.Partitioned) // first: it sets the path, too
	k.SetDomain(c.Domain)
	k.SetPath(c.Path)
	if c.MaxAge >= 0 {
		k.SetMaxAge(c.MaxAge)
	}
	k.SetSameSite(sameSite[strings.ToLower(c.SameSite)])
	k.SetSecure(c.Secure)
	k.SetHTTPOnly(c.HTTPOnly)
	ctx.Response.Header.SetCookie(k)
}
