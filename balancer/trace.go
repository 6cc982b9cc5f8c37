package balancer

import (
	"errors"
	"math/rand/v2"
	"net/textproto"

	"github.com/valyala/fasthttp"
)

// Trace says whether traces are begun (W3C Trace Context). One that a request belongs
// to already is passed on untouched in any case.
type Trace string

const (
	// TraceOff begins none.
	TraceOff Trace = "off"
	// TraceOn begins one for each request that belongs to none, or to one that cannot be
	// read, and leaves it to others whether it is recorded.
	TraceOn Trace = "on"
	// TraceSampled does the same, and asks that it be recorded.
	TraceSampled Trace = "sampled"
)

const (
	headerTraceParent = "Traceparent"
	headerTraceState  = "Tracestate"
)

// trace is a traceparent that the balancer has made; empty where there is none.
type trace struct {
	text [traceLength]byte
	n    uint8
}

const traceLength = 2 + 1 + 32 + 1 + 16 + 1 + 2

// beginTrace makes one for a request, if it is to have one. Sent again, it has the same.
func beginTrace(t Trace, h *fasthttp.RequestHeader) (begun trace) {
	if flags := traceFlags(t, h); flags != "" {
		text := append(begun.text[:0], "00-"...)
		text = appendRandom(appendRandom(text), '-')
		text = append(appendRandom(text, '-'), flags...)
		begun.n = uint8(len(text))
	}
	return begun
}

// traceFlags are those of a trace that is begun; empty leaves what the request has.
func traceFlags(t Trace, h *fasthttp.RequestHeader) (flags string) {
	if t == TraceOff || t == "" {
		return ""
	}
	if all := h.PeekAll(headerTraceParent); len(all) == 1 && isTraceParent(all[0]) {
		return ""
	}
	if t == TraceSampled {
		return "01"
	}
	return "00"
}

// isTraceParent tells whether a traceparent can be read: version, trace, parent and
// flags in small hexadecimal digits, neither id zero. Of a later version more may
// follow.
func isTraceParent(v []byte) bool {
	if len(v) < traceLength || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return false
	}
	version, trace, parent, flags := v[:2], v[3:35], v[36:52], v[53:55]
	if !isHex(version) || !isHex(trace) || !isHex(parent) || !isHex(flags) || isZero(trace) || isZero(parent) {
		return false
	}
	switch string(version) {
	case "00":
		return len(v) == traceLength
	case "ff":
		return false
	}
	return len(v) == traceLength || v[traceLength] == '-'
}

func isHex(s []byte) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func isZero(s []byte) bool {
	for _, c := range s {
		if c != '0' {
			return false
		}
	}
	return true
}

const hexDigits = "0123456789abcdef"

// appendRandom appends 64 random bits, not all zero, and what shall follow them. That
// nobody can guess them is not needed.
func appendRandom(dst []byte, then ...byte) []byte {
	n := rand.Uint64()
	for n == 0 {
		n = rand.Uint64()
	}
	for range 16 {
		dst = append(dst, hexDigits[n&15])
		n >>= 4
	}
	return append(dst, then...)
}

// maxRequestID is the longest id of a request that is kept.
const maxRequestID = 64

// requestID is the id of one request.
type requestID struct {
	text [maxRequestID]byte
	n    uint8
}

func (id *requestID) bytes() []byte { return id.text[:id.n] }

// identify takes over the id that a trusted proxy has given the request, if it is sane,
// and else makes one of 128 random bits.
func (id *requestID) identify(h *fasthttp.RequestHeader, name string, trusted bool) {
	if trusted {
		if given := h.Peek(name); isRequestID(given) {
			id.n = uint8(copy(id.text[:], given))
			return
		}
	}
	id.n = uint8(len(appendRandom(appendRandom(id.text[:0]))))
}

// isRequestID tells whether an id is one that may stand in a log and in a header.
func isRequestID(v []byte) bool {
	return len(v) > 0 && len(v) <= maxRequestID &&
		onlyOf(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=:@")
}

// canonicalName is the name of a header in the spelling of the parser.
func canonicalName(name string) string { return textproto.CanonicalMIMEHeaderKey(name) }

// checkIDHeader says what is wrong with the name of the header of request ids.
func checkIDHeader(name string) error {
	switch name := canonicalName(name); {
	case name == "":
		return nil
	case !isToken([]byte(name)):
		return errors.New("is no name of a header")
	case isOurs(name) || tellsOfClients([]byte(name)):
		return errors.New("has another meaning")
	}
	return nil
}

// answerID has the client told the id of its request.
func answerID(h *fasthttp.ResponseHeader, f *headFrom) {
	if f.idName != "" {
		h.Del(f.idName) // the comet may have answered with one, or several
		h.SetBytesV(f.idName, f.id.bytes())
	}
}
