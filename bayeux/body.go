package bayeux

import (
	"bytes"
	"net/url"
	"strings"
)

// Texts are the JSON texts in the body of a POST, of which each holds messages: the
// body itself, or, of a form, its fields "message", as Faye sends them to another
// origin. A body that begins like JSON is JSON although its type says that it is a
// form: curl -d says so of everything. Of a form that cannot be read, or has no such
// field, there are none.
//
// Whoever reads messages of a request reads them so, for a balancer and a comet
// must see the same ones in the same bytes. The result may alias body.
func Texts(contentType string, body []byte) [][]byte {
	mime, _, _ := strings.Cut(contentType, ";")
	if !strings.EqualFold(strings.Trim(mime, " \t"), "application/x-www-form-urlencoded") {
		return [][]byte{body}
	}
	if text := bytes.TrimLeft(body, " \t\r\n"); len(text) > 0 && (text[0] == '[' || text[0] == '{') {
		return [][]byte{body}
	}
	var texts [][]byte
	for pair := range strings.SplitSeq(string(body), "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return nil
		}
		if name != "message" {
			continue
		}
		text, err := url.QueryUnescape(value)
		if err != nil {
			return nil
		}
		texts = append(texts, []byte(text))
	}
	return texts
}

// ParseAll reads the messages of several texts, one after the other. That there is
// no text is an error.
func ParseAll(texts [][]byte) ([]Message, error) {
	switch len(texts) {
	case 0:
		return nil, ErrSyntax
	case 1:
		return Parse(texts[0])
	}
	var all []Message
	for _, text := range texts {
		messages, err := Parse(text)
		if err != nil {
			return nil, err
		}
		all = append(all, messages...)
	}
	return all, nil
}
