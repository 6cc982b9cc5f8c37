package wire

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Ask sends messages as text and returns the answers up to the reply with the
// given id, the messages before it included.
func (s *Socket) Ask(text, id string, within time.Duration) (Message, []Message, error) {
	if err := s.Write(OpText, []byte(text)); err != nil {
		return Message{}, nil, err
	}
	return s.Answer(id, within)
}

// Answer reads up to the reply with the given id.
func (s *Socket) Answer(id string, within time.Duration) (Message, []Message, error) {
	deadline := time.Now().Add(within)
	var before []Message
	for {
		op, payload, err := s.Read(time.Until(deadline))
		if err != nil {
			return Message{}, before, err
		}
		if op == OpClose {
			return Message{}, before, fmt.Errorf("closed: %s", CloseText(payload))
		}
		all, err := Parse(payload)
		if err != nil {
			return Message{}, before, err
		}
		for i, m := range all {
			if m.ID == id {
				return m, append(before, all[i+1:]...), nil
			}
			before = append(before, m)
		}
	}
}

// MustAsk is Ask, and fails the test unless the reply is successful.
func (s *Socket) MustAsk(text, id string) Message {
	s.tb.Helper()
	m, _, err := s.Ask(text, id, 20*time.Second)
	if err != nil {
		s.tb.Fatalf("send %.120s: %v", text, err)
	}
	if !m.Successful {
		s.tb.Fatalf("send %.120s: answered %q", text, m.Error)
	}
	return m
}

// MustHandshake makes a session over the socket and returns its clientId.
func (s *Socket) MustHandshake() string {
	s.tb.Helper()
	return s.MustAsk(`[{"channel":"/meta/handshake","id":"h","version":"1.0","supportedConnectionTypes":["websocket"]}]`, "h").ClientID
}

// AwaitClose reads until the close frame and returns its code and the messages
// before it; code 0 means that the connection ended without one.
func (s *Socket) AwaitClose(within time.Duration) (code int, before []Message, err error) {
	deadline := time.Now().Add(within)
	for {
		op, payload, err := s.Read(time.Until(deadline))
		switch {
		case err != nil:
			return 0, before, err
		case op == OpClose && len(payload) >= 2:
			return int(binary.BigEndian.Uint16(payload)), before, nil
		case op == OpClose:
			return 1005, before, nil
		}
		all, err := Parse(payload)
		if err != nil {
			return 0, before, err
		}
		before = append(before, all...)
	}
}

// CloseText tells the code and reason of a close frame.
func CloseText(payload []byte) string {
	if len(payload) < 2 {
		return "without a code"
	}
	return fmt.Sprintf("%d %s", binary.BigEndian.Uint16(payload), payload[2:])
}
