package balancer

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Cookie configures the browser cookie. Names, meanings and defaults are those of
// CometD's browserCookie options.
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
	// usually ends in front of the balancer, which then cannot see it. Default false.
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

func (c *Cookie) validate() error {
	var errs []error
	bad := func(setting, format string, args ...any) {
		errs = append(errs, fmt.Errorf("cookie-"+setting+": "+format, args...))
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
			bad("same-site", "None needs cookie-secure: browsers drop the cookie otherwise")
		}
	default:
		bad("same-site", "%q is none of Lax, Strict, None", c.SameSite)
	}
	if c.Partitioned && !c.Secure {
		bad("partitioned", "needs cookie-secure: browsers drop the cookie otherwise")
	}
	return errors.Join(errs...)
}

// notToken tells the characters that RFC 6265 keeps out of cookie names.
func notToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
}

// notAttribute tells the characters that cannot stand in an attribute's value.
func notAttribute(r rune) bool { return r < ' ' || r >= 0x7f || r == ';' }

// setCookie is the value of a Set-Cookie header. The attributes stand in CometD's
// order.
func (c *Cookie) setCookie(value string) string {
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

// readCookie finds the cookie called name in the Cookie headers of a request. A
// browser sends several of one name when they were set for several paths or
// domains, which happens when a fleet had set its own before: then the first that
// carries a tag counts, else the first. several tells that there was more than one:
// the comet would look at the first of them only.
func readCookie(headers [][]byte, name string) (value string, several bool) {
	found := false
	tagged := false
	for _, h := range headers {
		for len(h) > 0 {
			var pair []byte
			pair, h, _ = bytes.Cut(h, []byte{';'})
			v, ok := cookieNamed(pair, name)
			if !ok {
				continue
			}
			several = found
			isTagged := isTaggedCookie(string(v))
			if !found || isTagged && !tagged {
				value, tagged = string(v), isTagged
			}
			found = true
		}
	}
	return value, several
}

// rewriteCookie appends to dst one Cookie header that holds what headers held, with
// the cookie called name set to value: in the place of the first of that name, at
// the end if there was none; further ones of that name are left out. The other
// cookies stay as they are, byte for byte.
func rewriteCookie(dst []byte, headers [][]byte, name, value string) []byte {
	start, done := len(dst), false
	put := func(pair []byte) {
		if len(dst) == start {
			pair = bytes.TrimLeft(pair, " ")
		} else {
			dst = append(dst, ';')
			if len(pair) == 0 || pair[0] != ' ' {
				dst = append(dst, ' ')
			}
		}
		dst = append(dst, pair...)
	}
	own := []byte(name + "=" + value)
	for _, h := range headers {
		for len(h) > 0 {
			var pair []byte
			pair, h, _ = bytes.Cut(h, []byte{';'})
			if _, ok := cookieNamed(pair, name); !ok {
				put(pair)
				continue
			}
			if !done {
				put(own)
				done = true
			}
		}
	}
	if !done {
		put(own)
	}
	return dst
}

// cookieNamed is the value of a name=value pair when it has that name. Names of
// cookies are case-sensitive; a value may stand in quotes, which are not part of it.
func cookieNamed(pair []byte, name string) ([]byte, bool) {
	n, v, ok := bytes.Cut(pair, []byte{'='})
	if !ok || string(bytes.TrimSpace(n)) != name {
		return nil, false
	}
	v = bytes.TrimSpace(v)
	if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
		v = v[1 : len(v)-1]
	}
	return v, true
}
