package balancer

import (
	"bytes"
)

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
