package bayeux

import (
	"encoding/json"

	"github.com/tidwall/gjson"
)

// With is r, an object, with one key set to value, or without the key when value
// is empty. The other members keep their text and their order. What is no object
// counts as an empty one.
func (r RawJSON) With(key string, value RawJSON) RawJSON {
	dst := make([]byte, 1, len(r)+len(key)+len(value)+6)
	dst[0] = '{'
	comma := func() {
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
	}
	if obj := gjson.Parse(string(r)); obj.IsObject() {
		obj.ForEach(func(k, v gjson.Result) bool {
			if k.String() != key {
				comma()
				dst = append(dst, k.Raw...)
				dst = append(dst, ':')
				dst = append(dst, v.Raw...)
			}
			return true
		})
	}
	if value != "" {
		comma()
		dst = gjson.AppendJSONString(dst, key)
		dst = append(dst, ':')
		dst = append(dst, value...)
	}
	return RawJSON(append(dst, '}'))
}

// Set changes one top-level field of the message, in the parsed fields and in Raw
// alike; an empty value removes it. The value must be valid JSON.
func (m *Message) Set(name string, value RawJSON) {
	m.Raw = m.Raw.With(name, value)
	m.clear(fields[name])
	if value != "" {
		m.set(fields[name], gjson.Parse(string(value)))
	}
}

// SetExt changes one key of the message's ext object; an empty value removes it,
// and the last one takes ext with it.
func (m *Message) SetExt(key string, value RawJSON) {
	ext := m.Ext.With(key, value)
	if ext == "{}" {
		ext = ""
	}
	m.Set("ext", ext)
}

// SetExt changes one key of the reply's ext object; an empty value removes it.
func (r *Reply) SetExt(key string, value RawJSON) {
	if value != "" || r.Ext != "" {
		r.Ext = r.Ext.With(key, value)
	}
}

func (m *Message) clear(f field) {
	switch f {
	case fieldChannel:
		m.Channel = ""
	case fieldID:
		m.ID, m.HasID = "", false
	case fieldClientID:
		m.ClientID = ""
	case fieldConnectionType:
		m.ConnectionType = ""
	case fieldError:
		m.Error = ""
	case fieldSuccessful:
		m.Successful, m.HasSuccessful = false, false
	case fieldData:
		m.Data = ""
	case fieldExt:
		m.Ext = ""
	case fieldAdvice:
		m.Advice = ""
	case fieldSubscription:
		m.Subscription = ""
	case fieldSupportedConnectionTypes:
		m.SupportedConnectionTypes = ""
	}
}

// JSON is the text of a value: of a RawJSON that text itself, of anything else
// what encoding/json makes of it.
func JSON(value any) (RawJSON, error) {
	if raw, ok := value.(RawJSON); ok && raw != "" {
		if !json.Valid([]byte(raw)) {
			return "", ErrSyntax
		}
		return raw, nil
	}
	text, err := json.Marshal(value)
	return RawJSON(text), err
}

// String is the JSON string that holds s.
func String(s string) RawJSON { return RawJSON(gjson.AppendJSONString(nil, s)) }

// Members calls f with each key and value when r is an object.
func (r RawJSON) Members(f func(key string, value RawJSON)) {
	if obj := gjson.Parse(string(r)); obj.IsObject() {
		obj.ForEach(func(k, v gjson.Result) bool {
			f(k.String(), RawJSON(v.Raw))
			return true
		})
	}
}
