package balancer

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// fasthttp takes some requests that other parsers read in another way, or refuse. What
// passes here is read by all of them alike; nothing that clients of Bayeux, or browsers,
// send is refused.

// oddHead tells what is odd about a head, in words for the client; empty when nothing is.
func oddHead(h *fasthttp.RequestHeader) string {
	for _, c := range h.Method() {
		if 'a' <= c && c <= 'z' {
			return "methods are written in capitals\n"
		}
	}
	if odd := oddTarget(h); odd != "" {
		return odd
	}
	return oddLines(h.RawHeaders())
}

// oddTarget looks at what is asked for, and of which host.
func oddTarget(h *fasthttp.RequestHeader) string {
	uri := h.RequestURI()
	switch {
	case len(uri) > 0 && uri[0] == '/':
	case string(uri) == "*":
		if !h.IsOptions() {
			return "only OPTIONS may be for the whole server\n"
		}
	default:
		// What a client sends to a forward proxy; nothing else has a scheme.
		scheme, rest, found := bytes.Cut(uri, []byte("://"))
		if !found || !bytes.EqualFold(scheme, []byte("http")) && !bytes.EqualFold(scheme, []byte("https")) ||
			len(rest) == 0 || bytes.IndexByte([]byte("/?#"), rest[0]) >= 0 {
			return "this is no target of a request\n"
		}
	}
	// A user in front of a host is in no Host header (RFC 9110, 7.2), and in the absolute form it
	// makes two hosts of one.
	if _, host := target(h); bytes.IndexByte(host, '@') >= 0 {
		return "this is no host\n"
	}
	return ""
}

const (
	// maxHeaders is how many headers a request may have: well above what browsers send behind proxies.
	maxHeaders = 256
	// maxNominated is how many headers it may name as being for this hop. Each of those that it has is
	// compared with each of these.
	maxNominated = 32
)

// oddLines looks at the header lines as they came: for too many of them, for ends of lines that are not CR LF, for
// lines that are continued (RFC 9112, 5.2, lets a server refuse them), for names that are none, and for
// more than one framing of the body, or another than a length or chunks (RFC 9112, 6.1).
func oddLines(raw []byte) string {
	framings, nominated, lines := 0, 0, 0
	for ; len(raw) > 0; lines++ {
		line, rest, _ := bytes.Cut(raw, []byte{'\n'})
		raw = rest
		if len(line) == 0 || line[len(line)-1] != '\r' {
			return "lines end in CR LF\n"
		}
		if line = line[:len(line)-1]; len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			return "folded headers are not taken\n"
		}
		name, value, found := bytes.Cut(line, []byte{':'})
		if !found || !isToken(name) {
			return "this is no name of a header\n"
		}
		switch len(name) { // most are of another length
		case len("Connection"):
			if bytes.EqualFold(name, []byte("Connection")) {
				nominated += 1 + bytes.Count(value, []byte{','})
			}
		case len("Content-Length"):
			if bytes.EqualFold(name, []byte("Content-Length")) {
				framings++
			}
		case len("Transfer-Encoding"):
			if !bytes.EqualFold(name, []byte("Transfer-Encoding")) {
				break
			}
			framings++
			if !bytes.EqualFold(bytes.Trim(value, " \t"), []byte("chunked")) {
				return "chunked is the only coding that is taken\n"
			}
		}
	}
	switch {
	case framings > 1:
		return "a body has one length: Content-Length or Transfer-Encoding\n"
	case lines > maxHeaders:
		return "these are too many headers\n"
	case nominated > maxNominated:
		return "these are too many headers for one hop\n"
	}
	return ""
}

// oddExpectation tells whether a request expects what cannot be met: all but 100-continue.
func oddExpectation(h *fasthttp.RequestHeader) bool {
	for _, e := range h.PeekAll(fasthttp.HeaderExpect) {
		if len(e) > 0 && !bytes.EqualFold(e, []byte("100-continue")) {
			return true
		}
	}
	return false
}

// trailed watches for trailers. Where a body ends that has some is a matter of opinion: lines that end in a bare
// LF are taken there. It counts the headers of a request in chunks, and later whether there are more.
type trailed struct{ headers int }

func beforeTrailers(h *fasthttp.RequestHeader) trailed {
	if h.ContentLength() != bodyChunked {
		return trailed{}
	}
	return trailed{headers: h.Len()}
}

// came tells whether trailers were read since.
func (t trailed) came(h *fasthttp.RequestHeader) bool { return t.headers > 0 && h.Len() > t.headers }
