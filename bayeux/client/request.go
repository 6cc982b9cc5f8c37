package client

import (
	"bytes"
	"encoding/json"

	"github.com/halleycomet/halley/bayeux"
)

// Request is one message to send. The client adds id and clientId.
type Request struct {
	// Channel is the channel of a publish, or one of bayeux.MetaSubscribe and
	// bayeux.MetaUnsubscribe.
	Channel string
	// Subscription names the channels of a subscribe or unsubscribe. One is
	// written as a string, several as an array.
	Subscription []string
	// Data is what is published: one JSON value, written as it is but for white space.
	Data bayeux.RawJSON
	// Ext is the ext object, if any.
	Ext bayeux.RawJSON
}

// SubscribeRequest asks for what is published to the channels.
func SubscribeRequest(channels ...string) Request {
	return Request{Channel: bayeux.MetaSubscribe, Subscription: channels}
}

// UnsubscribeRequest takes a subscribe back.
func UnsubscribeRequest(channels ...string) Request {
	return Request{Channel: bayeux.MetaUnsubscribe, Subscription: channels}
}

// PublishRequest publishes data to a channel.
func PublishRequest(channel string, data bayeux.RawJSON) Request {
	return Request{Channel: channel, Data: data}
}

// Reply is what the server answered to one request.
type Reply struct {
	bayeux.Message
}

// Err is nil for a successful reply, else a *ReplyError.
func (r *Reply) Err() error {
	if r.Successful {
		return nil
	}
	return &ReplyError{Channel: r.Channel, Text: r.Error}
}

// wire is a message in the order of fields in which it is written.
type wire struct {
	ID             string         `json:"id"`
	Channel        string         `json:"channel"`
	ClientID       string         `json:"clientId,omitempty"`
	Version        string         `json:"version,omitempty"`
	MinVersion     string         `json:"minimumVersion,omitempty"`
	Transports     []Transport    `json:"supportedConnectionTypes,omitempty"`
	ConnectionType Transport      `json:"connectionType,omitempty"`
	Subscription   any            `json:"subscription,omitempty"`
	Advice         *wireAdvice    `json:"advice,omitempty"`
	Data           bayeux.RawJSON `json:"data,omitempty"`
	Ext            bayeux.RawJSON `json:"ext,omitempty"`
}

type wireAdvice struct {
	Timeout int64 `json:"timeout"`
}

// outgoing is a frame or request body, and the ids of the replies it asks for.
type outgoing struct {
	body    []byte
	ids     []string
	connect bool // a /meta/connect, which may be held
}

func encode(msgs ...wire) (outgoing, error) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(msgs); err != nil {
		return outgoing{}, err
	}
	out := outgoing{body: bytes.TrimSuffix(body.Bytes(), []byte("\n")), ids: make([]string, len(msgs))}
	for i := range msgs {
		out.ids[i] = msgs[i].ID
		out.connect = out.connect || msgs[i].Channel == bayeux.MetaConnect
	}
	return out, nil
}

func (r *Request) wire(id, clientID string) wire {
	w := wire{ID: id, Channel: r.Channel, ClientID: clientID, Data: r.Data, Ext: r.Ext}
	switch len(r.Subscription) {
	case 0:
	case 1:
		w.Subscription = r.Subscription[0]
	default:
		w.Subscription = r.Subscription
	}
	return w
}
