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
	adds    forwardSet // what the comet is told of the client
	idName  string     // the header of the request's id; empty: it has none
	id      requestID
	trace   trace
	// body is how the body is framed: its length, bodyChunked or bodyNone.
	body int64
}

const (
	bodyChunked = -1
	bodyNone    = -2
)

// newHeadFrom gathers what of a request's head does not depend on the comet either, nor
// on the body.
func newHeadFrom(conf *inForce, h *fasthttp.RequestHeader, peer netip.Addr, https bool) headFrom {
	f := headFrom{
		header: h, https: https, peer: peer, trusted: conf.proxies.trusts(peer), body: bodyNone,
		asked: conf.TLS.ClientCAFile != "", adds: conf.forwards, idName: conf.idName, trace: beginTrace(conf.Trace, h),
	}
	if f.idName != "" {
		f.id.identify(h, f.idName, f.trusted)
	}
	return f
}

// writes tells whether one of the headers that tell of the client is written anew.
func (f *headFrom) writes(name []byte) bool {
	switch string(name) {
	case "X-Forwarded-For":
		return f.adds&addsFor != 0
	case "X-Forwarded-Proto":
		return f.adds&addsProto != 0
	case "X-Forwarded-Host":
		return f.adds&addsHost != 0
	case "X-Forwarded-Port":
		return f.adds&addsPort != 0
	}
	return f.adds&addsForwarded != 0
}

// isOurs tells whether a header is one that appendHead knows.
func isOurs(name string) bool {
	switch name {
	case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection",
		"Proxy-Authorization", "Te", "Trailer", "Upgrade", "Http2-Settings", "Expect", "Cookie", "Set-Cookie",
		"Content-Type", "Origin", subjectHeader, headerTraceParent, headerTraceState:
		return true
	}
	return false
}

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

	var cookies [][]byte
	nominated := f.header.PeekAll(fasthttp.HeaderConnection)
	for name, value := range f.header.AllInOrder() {
		switch string(name) {
		case "Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection",
			"Proxy-Authorization", "Te", "Trailer", "Upgrade", "Http2-Settings", "Expect":
			// Framing and hop-by-hop: written anew, or meant for us alone.
			continue
		case "Cookie":
			if requestCookie != "" {
				cookies = append(cookies, value)
				continue
			}
		case subjectHeader:
			if f.asked {
				continue
			}
		case headerTraceParent, headerTraceState:
			if f.trace.n > 0 {
				continue
			}
		case "Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port":
			if !f.trusted || f.writes(name) {
				continue
			}
		case "Accept-Encoding":
			if f.plain || listed(nominated, name) {
				continue
			}
		default:
			if !isToken(name) || listed(nominated, name) || !f.trusted && tellsOfClients(name) ||
				f.idName != "" && string(name) == f.idName {
				continue
			}
		}
		dst = append(dst, name...)
		dst = append(dst, ": "...)
		dst = append(dst, value...)
		dst = append(dst, "\r\n"...)
	}
	if requestCookie != "" {
		dst = append(dst, "Cookie: "...)
		dst = rewriteCookie(dst, cookies, cookieName, requestCookie)
		dst = append(dst, "\r\n"...)
	}

	dst = appendForwards(dst, f, host)
	if f.subject != "" {
		dst = append(dst, subjectHeader+": "...)
		dst = append(dst, f.subject...)
		dst = append(dst, "\r\n"...)
	}
	if f.idName != "" {
		dst = appendLine(dst, f.idName, f.id.bytes())
	}
	if f.trace.n > 0 {
		dst = appendLine(dst, headerTraceParent, f.trace.text[:f.trace.n])
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
	h.Del("Proxy-Authenticate")
	h.Del("Proxy-Authentication-Info")
	h.Del("Te")
	h.Del("Upgrade")
	h.ResetConnectionClose()
	h.SetProtocol([]byte("HTTP/1.1"))
}
