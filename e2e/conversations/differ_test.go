package conversations

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// differences tells in which kinds of things an answer differs from ours, sorted and
// each once:
//
//	outcome WORD     held, answered, nothing, gone
//	status CODE      theirs; nothing else is compared then
//	type             the content type, but for its charset
//	text             a body that is no list of messages
//	closed CODE      theirs, or nothing
//	Header-Name      a header
//	around           what stands around a JSONP answer
//	order            the same messages and replies in another order
//	frames           the same ones packed otherwise
//	reply missing, reply extra, message missing, message extra
//	reply accepted   what ours refuses; refused, the other way round: the rest of the
//	                 reply follows from that
//	reply FIELD      a field with another value; +FIELD only theirs, -FIELD only ours
//	message FIELD    likewise, of a message that was published
func differences(ours, theirs *answer) []string {
	found := map[string]bool{}
	switch {
	case ours.outcome != theirs.outcome:
		found["outcome "+cmpOr(theirs.outcome, "answered")] = true
	case ours.status != theirs.status:
		found[fmt.Sprintf("status %d", theirs.status)] = true
	default:
		compare(ours, theirs, found)
	}
	// A frame, or the end of a socket, may stand against nothing.
	if ours.closed != theirs.closed {
		found["closed "+cmpOr(theirs.closed, nothing)] = true
		delete(found, "outcome nothing")
		delete(found, "outcome answered")
	}
	return slices.Sorted(maps.Keys(found))
}

func cmpOr(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func compare(ours, theirs *answer, found map[string]bool) {
	for _, name := range headers {
		if !slices.Equal(ours.values(name), theirs.values(name)) {
			found[name] = true
		}
	}
	if ours.kind != theirs.kind {
		found["type"] = true
	}
	if ours.around != theirs.around {
		found["around"] = true
	}
	if ours.text != theirs.text {
		found["text"] = true
	}
	pairs, missing, extra := match(ours.messages(), theirs.messages())
	for _, m := range missing {
		found[m.kind()+" missing"] = true
	}
	for _, m := range extra {
		found[m.kind()+" extra"] = true
	}
	ascending := slices.IsSortedFunc(pairs, func(a, b pair) int { return a.at - b.at })
	if !ascending {
		found["order"] = true
	}
	for _, p := range pairs {
		fields(p.ours, p.theirs, found)
	}
	if ascending && len(missing)+len(extra) == 0 && !slices.EqualFunc(ours.frames, theirs.frames, func(a, b []message) bool { return len(a) == len(b) }) {
		found["frames"] = true
	}
}

func (a *answer) values(name string) []string {
	var all []string
	for _, h := range a.head {
		if v, ok := strings.CutPrefix(h, name+": "); ok {
			all = append(all, v)
		}
	}
	return all
}

func (m message) kind() string {
	if m.reply() {
		return "reply"
	}
	return "message"
}

// pair is one of ours and the one of theirs, at a place in their answer, that means
// the same.
type pair struct {
	ours, theirs message
	at           int
}

// match finds to each of ours the one of theirs: a reply by its channel and id, a
// message by its channel and data; what is left over, by the kind and channel alone.
func match(ours, theirs []message) (pairs []pair, missing, extra []message) {
	taken := make([]int, len(ours)) // index in theirs, plus one
	used := make([]bool, len(theirs))
	for _, exact := range []bool{true, false} {
		for i, o := range ours {
			for j, t := range theirs {
				if taken[i] == 0 && !used[j] && o.kind() == t.kind() && string(o.has["channel"]) == string(t.has["channel"]) &&
					(!exact || o.key() == t.key()) {
					taken[i], used[j] = j+1, true
				}
			}
		}
	}
	for i, o := range ours {
		if taken[i] == 0 {
			missing = append(missing, o)
			continue
		}
		pairs = append(pairs, pair{o, theirs[taken[i]-1], taken[i]})
	}
	for j, t := range theirs {
		if !used[j] {
			extra = append(extra, t)
		}
	}
	return pairs, missing, extra
}

func (m message) key() string {
	if m.reply() {
		return string(m.has["id"])
	}
	return string(m.has["data"])
}

func fields(ours, theirs message, found map[string]bool) {
	kind := ours.kind()
	if kind == "reply" && string(ours.has["successful"]) != string(theirs.has["successful"]) {
		found[map[bool]string{true: "reply accepted", false: "reply refused"}[string(theirs.has["successful"]) == "true"]] = true
		return
	}
	for name, value := range ours.has {
		other, is := theirs.has[name]
		switch {
		case !is:
			found[kind+" -"+name] = true
		case string(other) != string(value):
			found[kind+" "+name] = true
		}
	}
	for name := range theirs.has {
		if _, is := ours.has[name]; !is {
			found[kind+" +"+name] = true
		}
	}
}
