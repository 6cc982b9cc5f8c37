package conversations

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// What becomes of a step besides an answer.
const (
	held    = "held"    // the request waits
	nothing = "nothing" // there was nothing to wait for, or no frame came
	gone    = "gone"    // the socket had been closed before
	ended   = "ended"   // the connection ended without a close frame
)

// answer is what one server answered to one step, already normalised.
type answer struct {
	outcome string   // held, nothing or gone; else empty
	status  int      // of an HTTP answer, an upgrade included
	kind    string   // the content type of one with messages
	head    []string // "Name: value", the few that matter, in order
	around  string   // what stands around the array of a JSONP answer
	text    string   // a body that is no array of messages
	framed  bool     // came over a WebSocket
	frames  [][]message
	closed  string // the close code of a WebSocket, or ended
}

// message is one message or reply.
type message struct {
	text string // its fields in the order of their names
	has  map[string]json.RawMessage
}

func newMessage(text string) (message, error) {
	m := message{text: text}
	return m, json.Unmarshal([]byte(text), &m.has)
}

// field is a field that is a string.
func (m message) field(name string) string {
	var s string
	if json.Unmarshal(m.has[name], &s) != nil {
		return ""
	}
	return s
}

func (m message) reply() bool { _, ok := m.has["successful"]; return ok }

// String is the answer as it is recorded.
func (a *answer) String() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if a.status != 0 {
		line("%s", strings.TrimSpace(fmt.Sprint(a.status, " ", a.kind)))
	}
	for _, h := range a.head {
		line("%s", h)
	}
	if a.around != "" {
		line("around %s", a.around)
	}
	if a.text != "" {
		line("text %s", a.text)
	}
	for _, f := range a.frames {
		switch {
		case a.framed:
			line("frame")
		case len(f) == 0:
			line("[]")
		}
		for _, m := range f {
			line("%s", m.text)
		}
	}
	if a.closed != "" {
		line("closed %s", a.closed)
	}
	if a.outcome != "" {
		line("%s", a.outcome)
	}
	return b.String()
}

func parseAnswer(lines []string) (*answer, error) {
	a := &answer{}
	for _, line := range lines {
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case strings.HasPrefix(line, "{"):
			m, err := newMessage(line)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", line, err)
			}
			if len(a.frames) == 0 {
				a.frames = append(a.frames, nil)
			}
			last := &a.frames[len(a.frames)-1]
			*last = append(*last, m)
		case line == "frame":
			a.framed = true
			a.frames = append(a.frames, nil)
		case line == "[]":
			a.frames = append(a.frames, nil)
		case line == held, line == nothing, line == gone:
			a.outcome = line
		case word == "around":
			a.around = rest
		case word == "text":
			a.text = rest
		case word == "closed":
			a.closed = rest
		case strings.HasSuffix(word, ":"):
			a.head = append(a.head, line)
		default:
			n, err := strconv.Atoi(word)
			if err != nil {
				return nil, fmt.Errorf("what is %q?", line)
			}
			a.status, a.kind = n, rest
		}
	}
	return a, nil
}

// messages are those of all frames.
func (a *answer) messages() []message {
	var all []message
	for _, f := range a.frames {
		all = append(all, f...)
	}
	return all
}
