package balancer

import (
	"unicode/utf8"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/sticky"
)

// glance takes from messages what request.peek does, and whether a /meta/connect is
// among them, in one look and without parsing them. It is ok for everyday messages
// alone: an array of objects that bayeux.Parse takes, with no handshake and with
// nothing of which it is not sure, like a name with an escape in it. For all else ask
// the parser; FuzzGlance holds the two together.
func (r *request) glance(body []byte) (connect, ok bool) {
	g := glancer{p: body}
	g.space()
	if !g.take('[') {
		return false, false
	}
	tagged := false
	for {
		g.space()
		channel, clientID, ok := g.message()
		if !ok || string(channel) == bayeux.MetaHandshake {
			return false, false
		}
		connect = connect || string(channel) == bayeux.MetaConnect
		if len(clientID) > 0 && !tagged {
			id := string(clientID)
			if _, tagged = sticky.ClientIDTag(id); tagged || r.clientID == "" {
				r.clientID = id
			}
		}
		g.space()
		if g.take(',') {
			continue
		}
		if !g.take(']') {
			return false, false
		}
		g.space()
		return connect, len(g.p) == 0 && (!g.wide || utf8.Valid(body))
	}
}

// glancer is at p in a text. Its methods are false where they are not sure, and where p
// is then does not matter.
type glancer struct {
	p    []byte
	wide bool // something is not ASCII
}

func (g *glancer) space() {
	for len(g.p) > 0 && (g.p[0] == ' ' || g.p[0] == '\t' || g.p[0] == '\n' || g.p[0] == '\r') {
		g.p = g.p[1:]
	}
}

func (g *glancer) take(c byte) bool {
	if len(g.p) == 0 || g.p[0] != c {
		return false
	}
	g.p = g.p[1:]
	return true
}

// The fields of a message that may stand in it only once (see bayeux.Parse).
var glanceFields = [...]string{
	"channel", "clientId", "id", "data", "ext", "advice", "connectionType", "subscription", "successful", "error",
	"supportedConnectionTypes",
}

const (
	glanceChannel  = 0
	glanceClientID = 1
)

// message reads an object.
func (g *glancer) message() (channel, clientID []byte, ok bool) {
	if !g.take('{') {
		return nil, nil, false
	}
	seen := 0
	for g.space(); ; g.space() {
		name, plain := g.text()
		if !plain {
			return nil, nil, false
		}
		g.space()
		if !g.take(':') {
			return nil, nil, false
		}
		g.space()
		field := -1
		for i := range glanceFields {
			if string(name) == glanceFields[i] {
				field = i
				break
			}
		}
		if field >= 0 {
			if seen&(1<<field) != 0 {
				return nil, nil, false
			}
			seen |= 1 << field
		}
		switch field {
		case glanceChannel:
			channel, ok = g.text()
		case glanceClientID:
			clientID, ok = g.text()
		default:
			ok = g.value(maxGlance)
		}
		if !ok {
			return nil, nil, false
		}
		g.space()
		if !g.take(',') {
			return channel, clientID, g.take('}')
		}
	}
}

// maxGlance is how deep values may be nested.
const maxGlance = 32

// text reads a string without escapes, of ASCII.
func (g *glancer) text() ([]byte, bool) {
	if !g.take('"') {
		return nil, false
	}
	for i, c := range g.p {
		switch {
		case c == '"':
			s := g.p[:i]
			g.p = g.p[i+1:]
			return s, true
		case c < ' ', c == '\\', c >= utf8.RuneSelf:
			return nil, false
		}
	}
	return nil, false
}

// value passes over a value.
func (g *glancer) value(depth int) bool {
	if len(g.p) == 0 || depth == 0 {
		return false
	}
	switch c := g.p[0]; c {
	case '"':
		return g.str()
	case '{', '[':
		g.p = g.p[1:]
		return g.nested(c, depth-1)
	case 't':
		return g.word("true")
	case 'f':
		return g.word("false")
	case 'n':
		return g.word("null")
	}
	return g.number()
}

func (g *glancer) word(w string) bool {
	if len(g.p) < len(w) || string(g.p[:len(w)]) != w {
		return false
	}
	g.p = g.p[len(w):]
	return true
}

// str passes over a string.
func (g *glancer) str() bool {
	p := g.p
	for i := 1; i < len(p); i++ {
		switch c := p[i]; {
		case c == '"':
			g.p = p[i+1:]
			return true
		case c == '\\':
			i++
			if i == len(p) {
				return false
			}
			switch p[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			default:
				return false
			}
		case c < ' ':
			return false
		case c >= utf8.RuneSelf:
			g.wide = true
		}
	}
	return false
}

// nested passes over the rest of an object or array.
func (g *glancer) nested(open byte, depth int) bool {
	end := byte(']')
	if open == '{' {
		end = '}'
	}
	g.space()
	if g.take(end) {
		return true
	}
	for {
		g.space()
		if open == '{' {
			if len(g.p) == 0 || g.p[0] != '"' || !g.str() {
				return false
			}
			g.space()
			if !g.take(':') {
				return false
			}
			g.space()
		}
		if !g.value(depth) {
			return false
		}
		g.space()
		if !g.take(',') {
			return g.take(end)
		}
	}
}

// number passes over a number.
func (g *glancer) number() bool {
	g.take('-')
	switch {
	case g.take('0'):
	case !g.digits():
		return false
	}
	if g.take('.') && !g.digits() {
		return false
	}
	if g.take('e') || g.take('E') {
		if !g.take('+') {
			g.take('-')
		}
		return g.digits()
	}
	return true
}

func (g *glancer) digits() bool {
	n := 0
	for n < len(g.p) && g.p[n] >= '0' && g.p[n] <= '9' {
		n++
	}
	g.p = g.p[n:]
	return n > 0
}
