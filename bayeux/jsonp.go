package bayeux

import "bytes"

// MaxCallbackLen is the longest JSONP callback name, in characters (CometD's
// callbackParameterMaxLength).
const MaxCallbackLen = 64

// ValidCallback reports whether name may be written into a script: letters,
// digits, dot, underscore and hyphen, as CometD has it.
func ValidCallback(name string) bool {
	if name == "" || len(name) > MaxCallbackLen {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

var (
	lineSeparator      = []byte("\u2028")
	paragraphSeparator = []byte("\u2029")
)

// AppendJSONP appends an answer in the form of callback-polling. The comment in
// front, as Faye writes it, keeps the bytes of a callback name from standing
// first in the answer; the two line terminators that JSON allows in strings and
// older JavaScript does not are escaped.
func AppendJSONP(dst []byte, callback string, answer []byte) []byte {
	dst = append(dst, "/**/"...)
	dst = append(dst, callback...)
	dst = append(dst, '(')
	if bytes.Contains(answer, lineSeparator) || bytes.Contains(answer, paragraphSeparator) {
		answer = bytes.ReplaceAll(answer, lineSeparator, []byte(`\u2028`))
		answer = bytes.ReplaceAll(answer, paragraphSeparator, []byte(`\u2029`))
	}
	dst = append(dst, answer...)
	return append(dst, ");"...)
}
