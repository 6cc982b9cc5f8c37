package wire

import (
	"encoding/json"
	"fmt"
)

// Message is one Bayeux message as it was received.
type Message struct {
	Channel      string          `json:"channel"`
	ID           string          `json:"id"`
	ClientID     string          `json:"clientId"`
	Successful   bool            `json:"successful"`
	Error        string          `json:"error"`
	Data         json.RawMessage `json:"data"`
	Ext          json.RawMessage `json:"ext"`
	Subscription json.RawMessage `json:"subscription"`
	Advice       *Advice         `json:"advice"`
	// Has is every field that the message carries.
	Has map[string]json.RawMessage `json:"-"`
}

// Advice is what a server asks of its client.
type Advice struct {
	Reconnect string `json:"reconnect"`
	Interval  *int   `json:"interval"`
	Timeout   *int   `json:"timeout"`
}

// UnmarshalJSON reads the known fields and keeps them all.
func (m *Message) UnmarshalJSON(b []byte) error {
	type plain Message
	if err := json.Unmarshal(b, (*plain)(m)); err != nil {
		return err
	}
	return json.Unmarshal(b, &m.Has)
}

// Parse reads an array of messages.
func Parse(b []byte) ([]Message, error) {
	var all []Message
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("answer %.300q: %w", b, err)
	}
	return all, nil
}

// By returns the reply with an id.
func By(all []Message, id string) (Message, error) {
	for _, m := range all {
		if m.ID == id {
			return m, nil
		}
	}
	return Message{}, fmt.Errorf("no reply with id %q among %d messages", id, len(all))
}
