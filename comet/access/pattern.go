package access

import (
	"strings"

	"github.com/halleycomet/halley/bayeux"
)

// segment is one of a rule's pattern: a name, * or **, or what a claim says.
type segment struct {
	text  string
	claim string // instead of text
}

// split takes a pattern apart.
func split(pattern string) []segment {
	var segments []segment
	for text := range strings.SplitSeq(strings.TrimPrefix(bayeux.CleanChannel(pattern), "/"), "/") {
		if name, ok := template(text); ok {
			segments = append(segments, segment{claim: name})
			continue
		}
		segments = append(segments, segment{text: text})
	}
	return segments
}

func template(text string) (claim string, ok bool) {
	inner, opened := strings.CutPrefix(text, "{")
	inner, closed := strings.CutSuffix(inner, "}")
	return inner, opened && closed
}

// checkPattern says what is wrong with a pattern, or nothing.
func checkPattern(pattern string) string {
	stand := make([]string, 0, 8)
	for _, s := range split(pattern) {
		switch {
		case s.claim == "" && s.text == "{}":
			return "names no claim between the braces"
		case s.claim != "":
			stand = append(stand, "x")
		case strings.ContainsAny(s.text, "{}"):
			return "has braces that are not a whole segment {claim}"
		default:
			stand = append(stand, s.text)
		}
	}
	switch plain := "/" + strings.Join(stand, "/"); {
	case !strings.HasPrefix(pattern, "/") || !bayeux.ValidChannel(plain):
		return "is no channel or pattern"
	case bayeux.KindOf(plain) == bayeux.Meta:
		return "is a meta channel, which no rule is asked about"
	}
	return ""
}

// covers tells whether everything that is meant by channel, itself a name or a
// pattern, is covered by a rule's pattern: /a/** covers /a/b, /a/* and /a/b/**, but
// not /a; /a/* covers /a/b and /a/*, but not /a/**. missing tells that it would be,
// were there the claims of the pattern or had they other values.
func covers(pattern []segment, channel string, claims Claims) (covered, missing bool) {
	rest := strings.TrimPrefix(bayeux.CleanChannel(channel), "/")
	for i, s := range pattern {
		last := i == len(pattern)-1
		if last && s.text == "**" {
			return true, missing
		}
		text, tail, more := strings.Cut(rest, "/")
		switch {
		case last == more: // one of them ends here, the other does not
			return false, false
		case s.claim != "":
			value, ok := claims.segment(s.claim)
			missing = missing || !ok || value != text
			if text == "*" || text == "**" {
				return false, false // all values are more than one
			}
		case s.text == "*" && text == "**":
			return false, false
		case s.text != "*" && s.text != text:
			return false, false
		}
		rest = tail
	}
	return true, missing
}

// segment is a claim that can be a segment of a channel: a text or a whole number
// that has nothing special in it.
func (c Claims) segment(name string) (string, bool) {
	value, ok := c.find(name)
	if !ok {
		return "", false
	}
	text, ok := textOf(value)
	if !ok || text == "" || strings.ContainsAny(text, "/*") {
		return "", false
	}
	return text, true
}
