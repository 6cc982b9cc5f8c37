package bayeux

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// RawJSON is the text of one JSON value as it was received. Empty means that
// the field was absent, which JSON's null is not.
type RawJSON string

// MarshalJSON lets a RawJSON stand in structures that encoding/json writes.
func (r RawJSON) MarshalJSON() ([]byte, error) {
	if r == "" {
		return []byte("null"), nil
	}
	return []byte(r), nil
}

// Message is one Bayeux message as it came in, a request or a reply. Fields
// that were absent have their zero value; fields not named here are in Raw.
type Message struct {
	// Channel is empty when the field is absent or no string.
	Channel string
	// ID is the id as a string; a number stands as its text, as CometD answers it.
	ID string
	// HasID tells an empty id from an absent one.
	HasID bool
	// ClientID is the session that the message speaks for.
	ClientID string
	// ConnectionType is the transport named in a /meta/connect.
	ConnectionType string
	// Error is the error of an unsuccessful reply.
	Error string
	// Successful is meaningful in replies only; HasSuccessful tells whether it was there.
	Successful, HasSuccessful bool

	// Data, Ext, Advice, Subscription and SupportedConnectionTypes are left as they came.
	Data, Ext, Advice, Subscription, SupportedConnectionTypes RawJSON

	// Raw is the whole object.
	Raw RawJSON
}

// The ways in which a body is no list of messages.
var (
	// ErrSyntax means that the body is not valid JSON in UTF-8.
	ErrSyntax = errors.New("not valid JSON in UTF-8")
	// ErrNotMessages means that the body is valid JSON, but no object or array of objects.
	ErrNotMessages = errors.New("neither a message nor an array of messages")
	// ErrDuplicateField means that a protocol field stands twice in one message.
	ErrDuplicateField = errors.New("duplicate field")
	// ErrTooDeep means that objects and arrays are nested deeper than MaxDepth.
	ErrTooDeep = errors.New("nested too deeply")
)

// MaxDepth is how deeply arrays and objects may be nested, the array of messages
// included. Whoever gets a message parses it again, often by recursion.
const MaxDepth = 128

// tooDeep tells whether JSON is nested deeper than MaxDepth, without recursion. Of
// what is no JSON it may say anything.
func tooDeep(body []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			if depth++; depth > MaxDepth {
				return true
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return false
}

// Parse reads the messages of one request, answer or WebSocket frame. An empty
// array gives no messages and no error. The result does not alias body.
func Parse(body []byte) ([]Message, error) {
	if tooDeep(body) {
		return nil, ErrTooDeep
	}
	if !utf8.Valid(body) || !json.Valid(body) {
		return nil, ErrSyntax
	}
	root := gjson.Parse(string(body))
	if root.IsObject() {
		m, err := parseMessage(root)
		if err != nil {
			return nil, err
		}
		return []Message{m}, nil
	}
	if !root.IsArray() {
		return nil, ErrNotMessages
	}
	msgs := make([]Message, 0, 1)
	var err error
	root.ForEach(func(_, v gjson.Result) bool {
		if !v.IsObject() {
			err = ErrNotMessages
			return false
		}
		var m Message
		if m, err = parseMessage(v); err != nil {
			return false
		}
		msgs = append(msgs, m)
		return true
	})
	if err != nil {
		return nil, err
	}
	return msgs, nil
}

func parseMessage(obj gjson.Result) (Message, error) {
	m := Message{Raw: RawJSON(obj.Raw)}
	var seen field
	var err error
	obj.ForEach(func(k, v gjson.Result) bool {
		name := k.String()
		f := fields[name]
		if f != 0 && seen&f != 0 {
			err = fmt.Errorf("%w %q", ErrDuplicateField, name)
			return false
		}
		seen |= f
		m.set(f, v)
		return true
	})
	return m, err
}

// field is a set of protocol fields.
type field uint16

const (
	fieldChannel field = 1 << iota
	fieldID
	fieldClientID
	fieldConnectionType
	fieldError
	fieldSuccessful
	fieldData
	fieldExt
	fieldAdvice
	fieldSubscription
	fieldSupportedConnectionTypes
)

var fields = map[string]field{
	"channel":                  fieldChannel,
	"id":                       fieldID,
	"clientId":                 fieldClientID,
	"connectionType":           fieldConnectionType,
	"error":                    fieldError,
	"successful":               fieldSuccessful,
	"data":                     fieldData,
	"ext":                      fieldExt,
	"advice":                   fieldAdvice,
	"subscription":             fieldSubscription,
	"supportedConnectionTypes": fieldSupportedConnectionTypes,
}

func (m *Message) set(f field, v gjson.Result) {
	switch f {
	case fieldChannel:
		m.Channel = text(v)
	case fieldID:
		switch v.Type {
		case gjson.String:
			m.ID, m.HasID = v.String(), true
		case gjson.Null:
		default:
			m.ID, m.HasID = v.Raw, true
		}
	case fieldClientID:
		m.ClientID = text(v)
	case fieldConnectionType:
		m.ConnectionType = text(v)
	case fieldError:
		m.Error = text(v)
	case fieldSuccessful:
		m.Successful, m.HasSuccessful = v.Type == gjson.True, v.IsBool()
	case fieldData:
		m.Data = RawJSON(v.Raw)
	case fieldExt:
		m.Ext = RawJSON(v.Raw)
	case fieldAdvice:
		m.Advice = RawJSON(v.Raw)
	case fieldSubscription:
		m.Subscription = RawJSON(v.Raw)
	case fieldSupportedConnectionTypes:
		m.SupportedConnectionTypes = RawJSON(v.Raw)
	}
}

// text is the string that v is, or nothing.
func text(v gjson.Result) string {
	if v.Type != gjson.String {
		return ""
	}
	return v.String()
}

// broadcastDrops are the fields that a subscriber never sees of what was
// published: clientId would hand out the publisher's session, id belongs to the
// publisher's reply (CometD drops these two), and advice, successful and error
// belong to replies: clients obey an advice wherever it stands, so a publisher
// could otherwise stop every subscriber of a channel.
const broadcastDrops = fieldClientID | fieldID | fieldAdvice | fieldSuccessful | fieldError

// AppendBroadcast appends the message in the form in which subscribers get it:
// every field as it was published, less those that belong to the publisher.
func (m *Message) AppendBroadcast(dst []byte) []byte {
	dst = append(dst, '{')
	first := true
	gjson.Parse(string(m.Raw)).ForEach(func(k, v gjson.Result) bool {
		if fields[k.String()]&broadcastDrops != 0 {
			return true
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, k.Raw...)
		dst = append(dst, ':')
		dst = append(dst, v.Raw...)
		return true
	})
	return append(dst, '}')
}

// ExtField is the value of one key of the message's ext object, empty when
// there is none.
func (m *Message) ExtField(key string) RawJSON {
	return m.Ext.Field(key)
}

// Field is the value of one key when r is an object, else empty.
func (r RawJSON) Field(key string) RawJSON {
	var found RawJSON
	obj := gjson.Parse(string(r))
	if !obj.IsObject() {
		return ""
	}
	obj.ForEach(func(k, v gjson.Result) bool {
		if k.String() == key {
			found = RawJSON(v.Raw)
		}
		return true
	})
	return found
}

// Text is the string that r holds, or nothing when r is no JSON string.
func (r RawJSON) Text() string { return text(gjson.Parse(string(r))) }

// Strings are the strings of an array, or the one string that r is. The second
// result is false when r is neither, or an element is no string.
func (r RawJSON) Strings() ([]string, bool) {
	v := gjson.Parse(string(r))
	if v.Type == gjson.String {
		return []string{v.String()}, true
	}
	if !v.IsArray() {
		return nil, false
	}
	var out []string
	ok := true
	v.ForEach(func(_, e gjson.Result) bool {
		if ok = e.Type == gjson.String; ok {
			out = append(out, e.String())
		}
		return ok
	})
	return out, ok
}
