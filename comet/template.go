package comet

import (
	"fmt"
	"strings"

	"github.com/halleycomet/halley/bayeux"
)

// template is a channel name with parameters: each segment of the form {name}
// stands for any one segment. A name without parameters, or a pattern, is one, too.
type template struct {
	segments []string
	params   bool
	pattern  string // matches all channels that the template does, and perhaps more
}

func parseTemplate(text string) (template, error) {
	fail := func(why string) (template, error) {
		return template{}, fmt.Errorf("%q: %w: %s", text, bayeux.ErrChannel, why)
	}
	if !bayeux.ValidChannel(text) || bayeux.KindOf(text) == bayeux.Meta {
		return fail("no name of a channel")
	}
	name := bayeux.CleanChannel(text)
	t := template{segments: strings.Split(name[1:], "/"), pattern: name}
	seen := make(map[string]bool)
	for i, segment := range t.segments {
		param, ok := parameter(segment)
		switch {
		case !ok && strings.ContainsAny(segment, "{}"):
			return fail("a parameter is a whole segment")
		case !ok:
			continue
		case bayeux.IsWild(name):
			return fail("parameters do not go with a wildcard")
		case seen[param]:
			return fail("parameter {" + param + "} stands twice")
		}
		seen[param] = true
		if t.params {
			continue
		}
		// From the first parameter on the pattern is wild.
		t.params, t.pattern = true, "/"+strings.Join(append(t.segments[:i:i], "**"), "/")
		if i == len(t.segments)-1 {
			t.pattern = t.pattern[:len(t.pattern)-1]
		}
	}
	return t, nil
}

// parameter is the name in {name}.
func parameter(segment string) (string, bool) {
	name, ok := strings.CutPrefix(segment, "{")
	name, closed := strings.CutSuffix(name, "}")
	return name, ok && closed && name != "" && !strings.ContainsAny(name, "{}")
}

// match is for channels that match the pattern.
func (t *template) match(channel string) (params map[string]string, ok bool) {
	if !t.params {
		return nil, true
	}
	segments := strings.Split(channel[1:], "/")
	if len(segments) != len(t.segments) {
		return nil, false
	}
	params = make(map[string]string)
	for i, segment := range t.segments {
		if name, ok := parameter(segment); ok {
			params[name] = segments[i]
		} else if segment != segments[i] {
			return nil, false
		}
	}
	return params, true
}
