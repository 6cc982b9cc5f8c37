package bayeux

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Cookie configures the browser cookie, by which servers and balancers know a browser
// again: it is set with a handshake that came without one, and whatever value a
// browser brings is adopted. Names, meanings and defaults are those of CometD's
// browserCookie options.
type Cookie struct {
	// Name is the cookie's name. Default "BAYEUX_BROWSER", by which CometD's
	// servers find the session of a request.
	Name string

	// Domain is the Domain attribute. Default none: the host that answered.
	Domain string

	// Path is the Path attribute. Default "/".
	Path string

	// MaxAge is the Max-Age attribute in seconds; negative leaves it out, and the
	// cookie lives as long as the browser runs. Default -1.
	MaxAge int

	// Secure is the Secure attribute: browsers then send the cookie over https only,
	// and take it over https only. It is written whenever it is set, because TLS
	// usually ends in front of the program, which then cannot see it. Default false.
	Secure bool

	// HTTPOnly hides the cookie from scripts. Default true.
	HTTPOnly bool

	// SameSite is the SameSite attribute: Lax, Strict, None, or empty to leave it
	// out. None needs Secure. Default empty.
	SameSite string

	// Partitioned is the attribute of that name (CHIPS), for a page embedded in
	// other sites. It needs Secure. Default false.
	Partitioned bool
}

// DefaultCookie returns the cookie that CometD's servers set by default.
func DefaultCookie() Cookie {
	return Cookie{Name: "BAYEUX_BROWSER", Path: "/", MaxAge: -1, HTTPOnly: true}
}

// Validate reports every mistake, each with the name of its setting.
func (c *Cookie) Validate() error {
	var errs []error
	bad := func(setting, format string, args ...any) {
		errs = append(errs, fmt.Errorf("browser-cookie-"+setting+": "+format, args...))
	}
	if c.Name == "" || strings.IndexFunc(c.Name, notToken) >= 0 {
		bad("name", "%q is not a cookie name", c.Name)
	}
	if strings.IndexFunc(c.Domain, notAttribute) >= 0 || strings.Contains(c.Domain, " ") {
		bad("domain", "%q is not a domain", c.Domain)
	}
	if c.Path != "" && c.Path[0] != '/' || strings.IndexFunc(c.Path, notAttribute) >= 0 {
		bad("path", "%q is not a path", c.Path)
	}
	switch strings.ToLower(c.SameSite) {
	case "", "lax", "strict":
	case "none":
		if !c.Secure {
			bad("same-site", "None needs browser-cookie-secure: browsers drop the cookie otherwise")
		}
	default:
		bad("same-site", "%q is none of Lax, Strict, None", c.SameSite)
	}
	if c.Partitioned && !c.Secure {
		bad("partitioned", "needs browser-cookie-secure: browsers drop the cookie otherwise")
	}
	return errors.Join(errs...)
}

// notToken tells the characters that RFC 6265 keeps out of cookie names.
func notToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
}

// notAttribute tells the characters that cannot stand in an attribute's value.
func notAttribute(r rune) bool { return r < ' ' || r >= 0x7f || r == ';' }

// SetCookie is the value of a Set-Cookie header that gives the cookie a value. The attributes stand in CometD's
// order.
func (c *Cookie) SetCookie(value string) string {
	var b strings.Builder
	b.WriteString(c.Name)
	b.WriteByte('=')
	b.WriteString(value)
	if c.Domain != "" {
		b.WriteString("; Domain=" + c.Domain)
	}
	if c.Path != "" {
		b.WriteString("; Path=" + c.Path)
	}
	if c.MaxAge >= 0 {
		b.WriteString("; Max-Age=" + strconv.Itoa(c.MaxAge))
	}
	if c.HTTPOnly {
		b.WriteString("; HttpOnly")
	}
	if c.Secure {
		b.WriteString("; Secure")
	}
	if c.SameSite != "" {
		b.WriteString("; SameSite=" + c.SameSite)
	}
	if c.Partitioned {
		b.WriteString("; Partitioned")
	}
	return b.String()
}
