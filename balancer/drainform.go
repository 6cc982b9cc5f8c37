package balancer

import (
	"bytes"
	"errors"
	"net/url"

	"github.com/halleycomet/halley/bayeux"
)

// write makes the request, in the form in which its client sent it, one with these
// messages: JSON or a form in the body of a POST, or the query of a GET for JSONP.
func (rq *exchange) write(messages []bayeux.Message, out *outgoing, from *headFrom) {
	text := appendMessages(nil, messages)
	if rq.ctx.IsGet() {
		path, _ := target(from.header)
		from.target = replaceMessages(path, text)
		return
	}
	if mime := rq.ctx.Request.Header.ContentType(); isForm(mime, rq.out.body) {
		text = append([]byte("message="), url.QueryEscape(string(text))...)
	}
	out.body, from.body = text, int64(len(text))
}

// isForm tells whether messages stand in a form, as bayeux.Texts has it.
func isForm(mime, body []byte) bool {
	texts := bayeux.Texts(string(mime), body)
	return len(texts) != 1 || !bytes.Equal(texts[0], body)
}

// appendMessages appends messages as they came, in an array.
func appendMessages(dst []byte, messages []bayeux.Message) []byte {
	dst = append(dst, '[')
	for i := range messages {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, messages[i].Raw...)
	}
	return append(dst, ']')
}

// replaceMessages puts one text in the place of all messages in a query; the other
// parameters stay as they are.
func replaceMessages(path, text []byte) []byte {
	path, query, _ := bytes.Cut(path, []byte{'?'})
	out := append(append([]byte(nil), path...), '?')
	for pair := range bytes.SplitSeq(query, []byte{'&'}) {
		name, _, _ := bytes.Cut(pair, []byte{'='})
		if plain, err := url.QueryUnescape(string(name)); err != nil || plain == "message" || len(pair) == 0 {
			continue
		}
		out = append(append(out, pair...), '&')
	}
	return append(append(out, "message="...), url.QueryEscape(string(text))...)
}

// unwrapJSONP takes the call of the callback off an answer.
func unwrapJSONP(callback string, answer []byte) []byte {
	if callback == "" {
		return answer
	}
	_, rest, found := bytes.Cut(answer, []byte(callback+"("))
	end := bytes.LastIndexByte(rest, ')')
	if !found || end < 0 {
		return answer
	}
	return rest[:end]
}

var errStranger = errors.New("the session is not one of the comet that is left")
