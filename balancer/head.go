package balancer

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"
)

// Headers are passed on in the order in which they came. Their names are in the
// canonical spelling of fasthttp's parser (DisableHeaderNamesNormalizing is off):
// names are case-insensitive (RFC 9110, 5.1), and only so is every look at one
// certain to find it, however it was spelt. Values, path and query are passed on
// byte for byte, and nothing is added but what appendHead names.

// headFrom is what of a request's head does not depend on the comet.
type headFrom struct {
	header  *fasthttp.RequestHeader
	https   bool
	peer    netip.Addr // who is connected, which need not be the client
	trusted bool       // the peer is a proxy whose X-Forwarded headers are believed
	upgrade bool       // to WebSocket: those headers are passed on
	target  []byte     // in the place of the request's own; nil leaves that
	plain   bool       // the answer is to be read here: it must not be compressed
	asked   bool       // certificates are asked for: who else names a subject is not believed
	subject string     // of the client's certificate
	// body is how the body is framed: its length, bodyChunked or bodyNone.
	body int64
}

const (
	bodyChunked = -1
	bodyNone    = -2
)

// appendHead appends the request line and the headers as they go to a comet at
// addr. A requestCookie replaces the browser's.
func appendHead(dst []byte, f *headFrom, addr, cookieName, requestCookie string) []byte {
	path, host := target(f.header)
	if f.target != nil {
		path = f.target
	}
	if len(host) == 0 {
		host = []byte(addr) // HTTP/1.0 may leave it out, 1.1 may not
	}
	dst = append(dst, f.header.Method()...)
	dst = append(dst, ' ')
	dst = append(dst, path...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	dst = appendLine(dst, "Host", host)

	var cookies, forwarded [][]byte
	var proto, forwardedHost []byte
	nominated := f.header.PeekAll(fasthttp.HeaderConnection)
	for name, value := range f.header.AllInOrder() {
		switch string(name) {
		case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection",
			"Proxy-Authorization", "Te", "Trailer", "Upgrade", "Http2-Settings", "Expect":
			// Framing and hop-by-hop: written anew, or meant for us alone.
		case "Cookie":
			if requestCookie == "" {
				dst = appendLine(dst, "Cookie", value)
			} else {
				cookies = append(cookies, value)
			}
		case subjectHeader:
			if !f.asked {
				dst = appendLine(dst, subjectHeader, value)
			}
		case "X-Forwarded-For":
			forwarded = append(forwarded, value)
		case "X-Forwarded-Proto":
			proto = value
		case "X-Forwarded-Host":
			forwardedHost = value
		case "Accept-Encoding":
			if !f.plain && !listed(nominated, name) {
				dst = appendLine(dst, "Accept-Encoding", value)
			}
		default:
			if !isToken(name) || listed(nominated, name) {
				continue
			}
			dst = append(dst, name...)
			dst = append(dst, ": "...)
			dst = append(dst, value...)
			dst = append(dst, "\r\n"...)
		}
	}
	if requestCookie != "" {
		dst = append(dst, "Cookie: "...)
		dst = rewriteCookie(dst, cookies, cookieName, requestCookie)
		dst = append(dst, "\r\n"...)
	}

	dst = append(dst, "X-Forwarded-For: "...)
	for _, v := range forwarded {
		dst = append(dst, v...)
		dst = append(dst, ", "...)
	}
	dst = f.peer.AppendTo(dst)
	dst = append(dst, "\r\n"...)
	if !f.trusted || len(proto) == 0 {
		proto = []byte("http")
		if f.https {
			proto = []byte("https")
		}
	}
	dst = appendLine(dst, "X-Forwarded-Proto", proto)
	if !f.trusted || len(forwardedHost) == 0 {
		forwardedHost = host
	}
	dst = appendLine(dst, "X-Forwarded-Host", forwardedHost)

	if f.subject != "" {
		dst = append(dst, subjectHeader+": "...)
		dst = append(dst, f.subject...)
		dst = append(dst, "\r\n"...)
	}

	if f.upgrade {
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	}
	switch {
	case f.body >= 0:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, f.body, 10)
		dst = append(dst, "\r\n"...)
	case f.body == bodyChunked:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	return append(dst, "\r\n"...)
}

func appendLine(dst []byte, name string, value []byte) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// target is the path with the query, and the host, of a request. The absolute form
// of a request line, as clients send it to forward proxies, is brought into the
// usual one; its host counts then (RFC 9112, 3.2.2).
func target(h *fasthttp.RequestHeader) (path, host []byte) {
	path, host = h.RequestURI(), h.Host()
	if len(path) > 0 && (path[0] == '/' || path[0] == '*') {
		return path, host
	}
	_, rest, found := bytes.Cut(path, []byte("://"))
	if !found {
		return path, host
	}
	end := bytes.IndexAny(rest, "/?#")
	if end < 0 {
		return []byte("/"), rest
	}
	host, path = rest[:end], rest[end:]
	if path[0] != '/' {
		path = append([]byte("/"), path...)
	}
	return path, host
}

// isToken tells whether a header's name is one (RFC 9110, 5.6.2). fasthttp lets
// names with spaces in them pass, which other parsers read in other ways.
func isToken(name []byte) bool {
	for _, c := range name {
		if !tokenChars[c] {
			return false
		}
	}
	return len(name) > 0
}

// tokenChars are the characters of which tokens are made.
var tokenChars = func() (is [256]bool) {
	for c := '!'; c < 0x7f; c++ {
		is[c] = !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	}
	return is
}()

// listed tells whether one of the comma-separated lists names an element.
func listed(lists [][]byte, name []byte) bool {
	for _, list := range lists {
		for len(list) > 0 {
			var e []byte
			e, list, _ = bytes.Cut(list, []byte{','})
			if bytes.EqualFold(bytes.TrimSpace(e), name) {
				return true
			}
		}
	}
	return false
}

// cleanAnswer takes off the headers of an answer that are meant for us alone.
func cleanAnswer(h *fasthttp.ResponseHeader) {
	if lists := h.PeekAll(fasthttp.HeaderConnection); len(lists) > 0 {
		var names []string
		for _, list := range lists {
			for e := range bytes.SplitSeq(list, []byte{','}) {
				e = bytes.TrimSpace(e)
				switch {
				case !isToken(e), bytes.EqualFold(e, []byte("close")), bytes.EqualFold(e, []byte("keep-alive")),
					bytes.EqualFold(e, []byte("upgrade")), bytes.EqualFold(e, []byte("transfer-encoding")),
					bytes.EqualFold(e, []byte("content-length")):
				default:
					names = append(names, string(e))
				}
			}
		}
		for _, name := range names {
			h.Del(name)
		}
		h.Del(fasthttp.HeaderConnection)
	}
	h.Del("Keep-Alive")
	h.Del("Proxy-Connection")
	h.ResetConnectionClose()
	h.SetProtocol([]byte("HTTP/1.1"))
}
