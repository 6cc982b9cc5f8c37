// Package binary lets messages carry bytes, as CometD's BinaryExtension does:
//
//	{"channel":"/file","data":{"data":"HelloWorld","last":true,"meta":{"name":"a"}},"ext":{"binary":{}}}
//
// data.data is Z85 (see [bayeux.AppendZ85]), last tells that no more will follow, and
// meta, which may be missing, is any JSON. Clients with the extension give and get
// bytes; a comet passes such messages on as they are, with this package or without.
//
// In listeners, services and remote calls, [Of] is the bytes of a message. [Data] is
// what to publish, deliver or return.
package binary

import (
	"errors"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/comet"
)

const key = "binary"

// Data is bytes as a message carries them. It is a [comet.Payload].
type Data struct {
	Bytes []byte
	// Last tells that no more follows of what the bytes are a part of.
	Last bool
	// Meta is any JSON, or empty.
	Meta bayeux.RawJSON
}

// Payload makes it what can be published.
func (d Data) Payload() (data, ext bayeux.RawJSON) {
	data = `{}`
	data = data.With("data", bayeux.String(string(bayeux.AppendZ85(nil, d.Bytes))))
	data = data.With("last", "false")
	if d.Last {
		data = data.With("last", "true")
	}
	return data.With("meta", d.Meta), `{"` + key + `":{}}`
}

// ErrMalformed: the message says that it is binary, and is not.
var ErrMalformed = errors.New("malformed binary message")

// Is tells whether a message says that it is binary.
func Is(m *comet.Message) bool {
	mark := m.ExtField(key)
	return mark != "" && mark != "null"
}

// Of is what a binary message carries. It is decoded once, for all callbacks. The
// error, of any other message, wraps [ErrMalformed].
func Of(m *comet.Message) (Data, error) {
	if d, ok := m.Value(decoded{}).(Data); ok {
		return d, nil
	}
	d, err := parse(m)
	if err == nil {
		m.SetValue(decoded{}, d)
	}
	return d, err
}

type decoded struct{}

func parse(m *comet.Message) (d Data, err error) {
	if !Is(m) {
		return Data{}, ErrMalformed
	}
	text := m.Data.Field("data")
	if len(text) < 2 || text[0] != '"' {
		return Data{}, ErrMalformed
	}
	if d.Bytes, err = bayeux.DecodeZ85(text.Text()); err != nil {
		return Data{}, errors.Join(ErrMalformed, err)
	}
	d.Last, d.Meta = m.Data.Field("last") == "true", m.Data.Field("meta")
	return d, nil
}

// New makes an extension, for [comet.Server.AddExtension], that deletes what says that
// it is binary and is not (404::message_deleted), so that it reaches nobody.
func New() comet.Extension {
	return comet.Extension{Incoming: func(m *comet.Message) bool {
		if !Is(m) {
			return true
		}
		_, err := Of(m)
		return err == nil
	}}
}
