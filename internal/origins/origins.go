package origins

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Policy says which origins may use an endpoint. The zero value is the policy of
// the empty list: the same host only.
type Policy struct {
	listed   bool // false: the same host as the Host header
	any      bool
	null     bool
	exact    map[origin]struct{}
	suffixes []origin // host is ".a.example" for an entry "*.a.example"
}

// origin in its compared form: lower case, the scheme's usual port left empty.
type origin struct{ scheme, host, port string }

// Parse reads the entries of a list. Its error names every bad entry, not only
// the first.
func Parse(list []string) (Policy, error) {
	var p Policy
	var errs []error
	for _, entry := range list {
		p.listed = true
		if err := p.add(strings.TrimSpace(entry)); err != nil {
			errs = append(errs, fmt.Errorf("origin %q: %w", entry, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Policy{}, err
	}
	return p, nil
}

func (p *Policy) add(entry string) error {
	switch entry {
	case "":
		return errors.New("is empty")
	case "*":
		p.any = true
		return nil
	case "null":
		p.null = true
		return nil
	}
	scheme, authority, found := strings.Cut(entry, "://")
	if !found || scheme == "" {
		return errors.New("has no scheme: write https://" + entry)
	}
	if strings.ContainsAny(authority, "/?#@") {
		return errors.New("is more than scheme://host[:port]")
	}
	o, ok := parse(scheme, strings.TrimPrefix(authority, "*."))
	switch {
	case !ok:
		return errors.New("is not scheme://host[:port]")
	case strings.Contains(o.host, "*"):
		return errors.New("has a * elsewhere than as the first label of the host")
	case !ascii(o.host):
		return errors.New("has a host that is not ASCII: browsers send its xn-- form")
	case strings.HasPrefix(authority, "*."):
		o.host = "." + o.host
		p.suffixes = append(p.suffixes, o)
	default:
		if p.exact == nil {
			p.exact = make(map[origin]struct{})
		}
		p.exact[o] = struct{}{}
	}
	return nil
}

// Allows says whether a request with these Origin and Host headers may be served.
// An empty origin is allowed. "null" is allowed only by "null" and "*".
func (p Policy) Allows(origin, host string) bool {
	switch {
	case origin == "" || p.any:
		return true
	case origin == "null":
		return p.null
	}
	scheme, authority, found := strings.Cut(origin, "://")
	if !found {
		return false
	}
	o, ok := parse(scheme, authority)
	if !ok {
		return false
	}
	if !p.listed {
		// The Host header has no scheme; read with the origin's, a port that is
		// usual for it may be written or left out on either side.
		own, ok := parse(scheme, host)
		return ok && own == o
	}
	if _, ok := p.exact[o]; ok {
		return true
	}
	for _, s := range p.suffixes {
		if o.scheme == s.scheme && o.port == s.port && len(o.host) > len(s.host) && strings.HasSuffix(o.host, s.host) {
			return true
		}
	}
	return false
}

// parse brings a scheme and a host[:port] into the compared form. It takes what a
// header may hold, so it is stricter than a URL parser: no user, no path.
func parse(scheme, authority string) (origin, bool) {
	o := origin{scheme: strings.ToLower(scheme), host: authority}
	colon := strings.LastIndexByte(authority, ':')
	if strings.HasPrefix(authority, "[") {
		end := strings.IndexByte(authority, ']')
		if end < 0 || (end != len(authority)-1 && colon != end+1) {
			return origin{}, false
		}
		if colon < end {
			colon = -1
		}
	}
	if colon >= 0 {
		o.host, o.port = authority[:colon], authority[colon+1:]
		if n, err := strconv.ParseUint(o.port, 10, 16); err != nil || n == 0 {
			return origin{}, false
		}
	}
	o.host = strings.ToLower(o.host)
	bare := strings.TrimSuffix(strings.TrimPrefix(o.host, "["), "]")
	if o.scheme == "" || bare == "" || strings.ContainsAny(bare, "/?#@[] \t\r\n,") {
		return origin{}, false
	}
	if bare == o.host && strings.Contains(bare, ":") {
		return origin{}, false
	}
	if o.port == usualPort(o.scheme) {
		o.port = ""
	}
	return o, true
}

func usualPort(scheme string) string {
	switch scheme {
	case "http", "ws":
		return "80"
	case "https", "wss":
		return "443"
	}
	return ""
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
