package conversations

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// conversation is one file of testdata/bayeux.
type conversation struct {
	file  string
	name  string            // folder/file without the ending
	about []string          // the comment at the top
	skip  map[string]string // servers that take no part, and why
	steps []*step
}

// step is one thing that a client does, and what each server answered to it.
type step struct {
	who   string   // the client, and after a dot one of its connections
	verb  string   // what it does, see verbs
	args  []string // path, keep=NAME, jsonp=NAME, a close code
	head  []string // request headers
	body  []string
	heard map[string]*answer // by server
}

// verbs are what a client can do: those that make an HTTP request, and those of
// which true says that they are about a WebSocket.
// A SESSION, a SOCKET and a SUBSCRIBE are what other conversations are about: here
// they only have to succeed, and their answers are not recorded.
var verbs = map[string]bool{
	"SESSION": false, "SOCKET": true, "SUBSCRIBE": false,
	"POST": false, "FORM": false, "GET": false, "OPTIONS": false, "PUT": false, "HEAD": false,
	"ANSWER": false, // wait for the answer to the oldest request that was held
	"OPEN":   true, "SEND": true, "BINARY": true, "READ": true, "CLOSE": true, "DROP": true,
}

func (s *step) socket() bool { return verbs[s.verb] }

// setup tells that the step only prepares others.
func (s *step) setup() bool {
	return s.verb == "SESSION" || s.verb == "SOCKET" || s.verb == "SUBSCRIBE"
}

// arg returns the value of the argument key=value.
func (s *step) arg(key string) string {
	for _, a := range s.args {
		if v, ok := strings.CutPrefix(a, key+"="); ok {
			return v
		}
	}
	return ""
}

// path is the argument that begins with a slash: what follows the endpoint's URL.
func (s *step) path() string {
	for _, a := range s.args {
		if strings.HasPrefix(a, "/") {
			return a
		}
	}
	return ""
}

// load reads a file.
func load(file string) (*conversation, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	folder, base := filepath.Split(file)
	c, err := parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	c.file = file
	c.name = filepath.Base(folder) + "/" + strings.TrimSuffix(base, ".txt")
	return c, nil
}

func parse(text string) (*conversation, error) {
	c := &conversation{skip: map[string]string{}}
	var heard *[]string // the answer to which indented lines belong; nil: to the request
	type block struct {
		servers []string
		lines   *[]string
		step    *step
	}
	var blocks []block
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		bad := func(format string, args ...any) error {
			return fmt.Errorf("line %d: "+format, append([]any{i + 1}, args...)...)
		}
		var last *step
		if len(c.steps) > 0 {
			last = c.steps[len(c.steps)-1]
		}
		inner, indented := strings.CutPrefix(line, "  ")
		switch {
		case strings.TrimSpace(line) == "":
		case strings.HasPrefix(line, "#"):
			c.about = append(c.about, strings.TrimSpace(strings.TrimPrefix(line, "#")))
		case strings.HasPrefix(line, "skip "):
			who, why, ok := strings.Cut(strings.TrimPrefix(line, "skip "), ": ")
			if !ok || !slices.Contains(others, who) {
				return nil, bad("skip needs one of %q and a reason", others)
			}
			c.skip[who] = why
		case strings.HasPrefix(line, "= ") && last != nil:
			heard = new([]string)
			blocks = append(blocks, block{strings.Split(strings.TrimPrefix(line, "= "), ", "), heard, last})
		case indented && last == nil:
			return nil, bad("an indented line belongs to a step")
		case indented && heard != nil:
			*heard = append(*heard, inner)
		case indented && strings.HasPrefix(inner, "+ "):
			last.head = append(last.head, strings.TrimPrefix(inner, "+ "))
		case indented:
			last.body = append(last.body, inner)
		default:
			words := strings.Fields(line)
			if len(words) < 3 || words[0] != fmt.Sprint(len(c.steps)+1) {
				return nil, bad("step %d begins with its number, a client and a verb", len(c.steps)+1)
			}
			if _, ok := verbs[words[2]]; !ok {
				return nil, bad("unknown verb %s", words[2])
			}
			c.steps = append(c.steps, &step{who: words[1], verb: words[2], args: words[3:], heard: map[string]*answer{}})
			heard = nil
		}
	}
	for _, b := range blocks {
		for _, server := range b.servers {
			if !slices.Contains(servers, server) || b.step.heard[server] != nil {
				return nil, fmt.Errorf("%s answers twice, or is no server", server)
			}
			a, err := parseAnswer(*b.lines)
			if err != nil {
				return nil, fmt.Errorf("answer of %s: %w", server, err)
			}
			b.step.heard[server] = a
		}
	}
	return c, nil
}

// String writes the conversation as it stands in its file. Servers that answered
// the same stand together.
func (c *conversation) String() string {
	var b strings.Builder
	for _, line := range c.about {
		b.WriteString(strings.TrimSpace("# "+line) + "\n")
	}
	for _, server := range others {
		if why := c.skip[server]; why != "" {
			fmt.Fprintf(&b, "skip %s: %s\n", server, why)
		}
	}
	for i, s := range c.steps {
		fmt.Fprintf(&b, "\n%d %s\n", i+1, strings.Join(append([]string{s.who, s.verb}, s.args...), " "))
		for _, line := range s.head {
			b.WriteString("  + " + line + "\n")
		}
		for _, line := range s.body {
			b.WriteString("  " + line + "\n")
		}
		written := map[string]bool{}
		for n, server := range servers {
			if s.heard[server] == nil || written[server] {
				continue
			}
			text := s.heard[server].String()
			same := []string{server}
			for _, other := range servers[n+1:] {
				if a := s.heard[other]; a != nil && a.String() == text {
					same = append(same, other)
					written[other] = true
				}
			}
			fmt.Fprintf(&b, "= %s\n", strings.Join(same, ", "))
			for line := range strings.Lines(text) {
				b.WriteString("  " + line)
			}
		}
	}
	return b.String()
}
