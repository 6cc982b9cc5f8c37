package conversations

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// names are the values that differ from run to run, and the names under which
// requests give them and answers are recorded with them.
type names map[string]string // name to value

// put fills in a request: {A} is a value that was kept, {40*[} a text repeated, {hex e4}
// bytes that are no text.
func (n names) put(text string) string {
	for name, value := range n {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	text = unkept.ReplaceAllString(text, "unkept$1")
	text = raw.ReplaceAllStringFunc(text, func(s string) string {
		b, _ := hex.DecodeString(raw.FindStringSubmatch(s)[1])
		return string(b)
	})
	return repeated.ReplaceAllStringFunc(text, func(s string) string {
		m := repeated.FindStringSubmatch(s)
		times, _ := strconv.Atoi(m[1])
		return strings.Repeat(m[2], times)
	})
}

var (
	unkept   = regexp.MustCompile(`\{([A-Z])\}`)
	charset  = regexp.MustCompile(`(?i); *charset=utf-8$`)
	raw      = regexp.MustCompile(`\{hex ([0-9a-f]+)\}`)
	repeated = regexp.MustCompile(`\{(\d+)\*([^}]+)\}`)
)

// take is the reverse of put, for answers.
func (n names) take(text string) string {
	for name, value := range n {
		text = strings.ReplaceAll(text, value, "{"+name+"}")
	}
	return regexp.MustCompile(`unkept([A-Z])`).ReplaceAllString(text, "{$1}")
}

// messages reads an array of messages. Fields are put in the order of their names,
// and times into braces; ok is false when the text is anything else.
func (n names) messages(text []byte) (all []message, ok bool) {
	var list []map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&list) != nil || list == nil || d.More() {
		return nil, false
	}
	for _, fields := range list {
		timeless(fields)
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if e.Encode(fields) != nil {
			return nil, false
		}
		m, err := newMessage(n.take(strings.TrimSpace(b.String())))
		if err != nil {
			return nil, false
		}
		all = append(all, m)
	}
	return all, true
}

// timeless replaces what the server's clock has written.
func timeless(fields map[string]any) {
	ext, _ := fields["ext"].(map[string]any)
	sync, _ := ext["timesync"].(map[string]any)
	for _, name := range []string{"ts", "p", "a"} {
		if _, is := sync[name].(json.Number); is {
			sync[name] = "{" + name + "}"
		}
	}
}

// headers are those that a client of Bayeux can see and act upon.
var headers = []string{
	"X-Content-Type-Options", "Set-Cookie", "Access-Control-Allow-Origin",
	"Access-Control-Allow-Credentials", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers",
}

// pick takes them from an answer: of a refusal only those that let a script read it;
// nosniff only where it protects, of a script.
func (n names) pick(h http.Header, status int) []string {
	var all []string
	for _, name := range headers {
		if status != http.StatusOK && !strings.HasPrefix(name, "Access-Control") ||
			name == "X-Content-Type-Options" && !script(h) {
			continue
		}
		for _, v := range h.Values(name) {
			if name == "Set-Cookie" {
				v = shape(v)
			}
			all = append(all, name+": "+n.take(v))
		}
	}
	return all
}

func script(h http.Header) bool { return strings.HasPrefix(h.Get("Content-Type"), "text/javascript") }

// shape is a cookie without its value, the attributes in the order of their names.
func shape(cookie string) string {
	parts := strings.Split(cookie, ";")
	name, _, _ := strings.Cut(parts[0], "=")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	slices.SortFunc(parts[1:], func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return strings.Join(append([]string{name + "=…"}, parts[1:]...), "; ")
}

// around takes a JSONP answer apart.
var around = regexp.MustCompile(`(?s)^([^\[{]*)(\[.*\])([^\]]*)$`)

// response normalises an HTTP answer.
func (n names) response(status int, h http.Header, body []byte) *answer {
	a := &answer{status: status, head: n.pick(h, status)}
	if status != http.StatusOK || len(body) == 0 {
		return a
	}
	// JSON is UTF-8 whether or not it says so.
	a.kind = charset.ReplaceAllString(h.Get("Content-Type"), "")
	if script(h) {
		if m := around.FindSubmatch(body); m != nil {
			a.around, body = fmt.Sprintf("%s…%s", m[1], m[3]), m[2]
		}
	}
	if all, ok := n.messages(body); ok {
		a.frames = [][]message{all}
	} else {
		a.text = n.take(strconv.Quote(string(body)))
	}
	return a
}
