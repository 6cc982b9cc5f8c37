package bayeux

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// Version is the protocol version that handshake replies carry.
const Version = "1.0"

// Reply is what a server answers to one message. A reply never has data: its
// absence is how clients tell a reply from a message on the same channel.
type Reply struct {
	Channel    string
	ID         string
	HasID      bool
	Successful bool
	// Error is one of the closed list (see errors.go), empty on success.
	Error Error
	// ClientID stands in successful handshake replies only.
	ClientID string
	// SupportedConnectionTypes stands in successful handshake replies only.
	SupportedConnectionTypes []string
	// Subscription is echoed in the very shape in which it was sent.
	Subscription RawJSON
	Advice       *Advice
	Ext          RawJSON
	// Timestamp is when the reply was made, as a text that clients do not read;
	// left out when empty.
	Timestamp string
	// XMessages is how many messages follow a handshake reply; left out when 0.
	XMessages int
}

// ReplyTo begins the reply to m: channel, id and subscription are echoed.
func ReplyTo(m *Message) Reply {
	return Reply{Channel: m.Channel, ID: m.ID, HasID: m.HasID, Subscription: m.Subscription}
}

// Fail makes the reply an unsuccessful one.
func (r Reply) Fail(err Error) Reply {
	r.Successful, r.Error = false, err
	return r
}

// AppendJSON appends the reply as a JSON object.
func (r *Reply) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	if r.HasID {
		dst = append(dst, `"id":`...)
		dst = gjson.AppendJSONString(dst, r.ID)
		dst = append(dst, ',')
	}
	if r.Channel != "" {
		dst = append(dst, `"channel":`...)
		dst = gjson.AppendJSONString(dst, r.Channel)
		dst = append(dst, ',')
	}
	dst = append(dst, `"successful":`...)
	dst = strconv.AppendBool(dst, r.Successful)
	if r.Error != "" {
		dst = append(dst, `,"error":`...)
		dst = gjson.AppendJSONString(dst, string(r.Error))
	}
	if r.ClientID != "" {
		dst = append(dst, `,"version":"`+Version+`","minimumVersion":"`+Version+`","clientId":`...)
		dst = gjson.AppendJSONString(dst, r.ClientID)
		dst = append(dst, `,"supportedConnectionTypes":[`...)
		for i, t := range r.SupportedConnectionTypes {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = gjson.AppendJSONString(dst, t)
		}
		dst = append(dst, ']')
	}
	if r.Subscription != "" {
		dst = append(dst, `,"subscription":`...)
		dst = append(dst, r.Subscription...)
	}
	if r.Advice != nil {
		dst = append(dst, `,"advice":`...)
		dst = r.Advice.AppendJSON(dst)
	}
	if r.XMessages > 0 {
		dst = append(dst, `,"x-messages":`...)
		dst = strconv.AppendInt(dst, int64(r.XMessages), 10)
	}
	if r.Ext != "" {
		dst = append(dst, `,"ext":`...)
		dst = append(dst, r.Ext...)
	}
	if r.Timestamp != "" {
		dst = append(dst, `,"timestamp":`...)
		dst = gjson.AppendJSONString(dst, r.Timestamp)
	}
	return append(dst, '}')
}
