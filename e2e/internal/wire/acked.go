package wire

import (
	"context"
	"fmt"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

// Acked is a session with CometD's extension of acknowledged messages, which its
// client takes from one connection to another as it likes.
type Acked struct {
	tb       testing.TB
	url, id  string
	acked    string // the ext of the next connect
	messages int
	ask      func(text, id string) (reply Message, messages []Message)
	send     func(text string)
}

// NewAcked makes the client of a Bayeux endpoint. It has no connection yet.
func NewAcked(tb testing.TB, url string) *Acked { return &Acked{tb: tb, url: url} }

// Dial takes a new connection for a transport, from a local address or any. The one before is
// left as it is.
func (a *Acked) Dial(transport, local string) {
	a.tb.Helper()
	if transport == "websocket" {
		s := MustOpen(a.tb, a.url, local)
		a.ask = func(text, id string) (Message, []Message) {
			a.tb.Helper()
			reply, before, err := s.Ask(text, id, proc.Patience)
			if err != nil {
				a.tb.Fatal(err)
			}
			return reply, before
		}
		a.send = func(text string) {
			a.tb.Helper()
			if err := s.Write(OpText, []byte(text)); err != nil {
				a.tb.Fatal(err)
			}
		}
		return
	}
	w := NewFrom(a.tb, a.url, local)
	a.ask = func(text, id string) (Message, []Message) {
		a.tb.Helper()
		answer, err := w.Post(context.Background(), text)
		if err != nil {
			a.tb.Fatal(err)
		}
		last := len(answer.Messages) - 1
		if last < 0 || answer.Messages[last].ID != id {
			a.tb.Fatalf("no reply to %s at the end of %s", text, answer.Body)
		}
		return answer.Messages[last], answer.Messages[:last]
	}
	a.send = func(text string) {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { defer close(ended); w.Post(ctx, text) }()
		a.tb.Cleanup(func() { cancel(); <-ended })
	}
}

// Meet handshakes, subscribes to a channel, and makes the first connect, which is
// answered at once.
func (a *Acked) Meet(channel string) {
	a.tb.Helper()
	hello, _ := a.ask(a.message("/meta/handshake",
		`"version":"1.0","supportedConnectionTypes":["websocket","long-polling"],"ext":{"ack":true}`))
	if string(hello.Ext) != `{"ack":true}` {
		a.tb.Fatalf("handshake with ext %q", hello.Ext)
	}
	a.id, a.acked = hello.ClientID, `{"ack":0}`
	if reply, _ := a.ask(a.message("/meta/subscribe", fmt.Sprintf(`"subscription":%q`, channel))); !reply.Successful {
		a.tb.Fatalf("subscribe: %s", reply.Error)
	}
	a.Connect()
}

// Connect acknowledges what has come, asks for an answer at once, and returns the data of the
// messages in it.
func (a *Acked) Connect() []string {
	a.tb.Helper()
	reply, messages := a.ask(a.connect(`,"advice":{"timeout":0}`))
	if !reply.Successful || len(reply.Ext) == 0 {
		a.tb.Fatalf("connect: %s, ext %q", reply.Error, reply.Ext)
	}
	a.acked = string(reply.Ext)
	var data []string
	for _, m := range messages {
		data = append(data, string(m.Data))
	}
	return data
}

// Hold leaves a connect at the server, the answer to which nobody reads.
func (a *Acked) Hold() {
	a.tb.Helper()
	text, _ := a.connect("")
	a.send(text)
}

func (a *Acked) connect(advice string) (text, id string) {
	return a.message("/meta/connect", `"connectionType":"long-polling","ext":`+a.acked+advice)
}

// message makes one with a new id.
func (a *Acked) message(channel, fields string) (text, id string) {
	a.messages++
	id = fmt.Sprint("a", a.messages)
	return fmt.Sprintf(`[{"channel":%q,"clientId":%q,"id":%q,%s}]`, channel, a.id, id, fields), id
}
