package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/cut"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// The promise of the ack extension, frame by frame: a client vanishes without closing while its
// connect is held. To the comet its connection stands: what it writes there is taken, and goes nowhere. It is
// delivered again with the client's next connect, over another connection and whatever
// transport, at the comet itself and through a balancer; and not once more when it is acknowledged.
func TestVanishedClientLosesNothing(t *testing.T) {
	c := cloud.New(t)
	m := c.Comet("comet-1")
	b := c.Balancer("balancer")
	other := wire.New(t, m.URL())
	other.MustHandshake()
	for _, at := range []struct{ name, addr string }{{"comet", m.Listen}, {"balancer", b.Listen}} {
		for _, from := range []string{"websocket", "long-polling"} {
			for _, to := range []string{"websocket", "long-polling"} {
				t.Run(fmt.Sprintf("%s, from %s to %s", at.name, from, to), func(t *testing.T) {
					proxy := cut.New(t, at.addr)
					v := &vanisher{T: t, url: "http://" + proxy.Addr() + cloud.Path}
					v.dial(from)
					v.meet()
					before := m.Counter("halley_comet_connects_total")
					v.hold()
					proc.Until(t, proc.Patience, "the comet has the connect", func() error {
						if m.Counter("halley_comet_connects_total") == before {
							return errors.New("not yet")
						}
						return nil
					})

					proxy.FromComet(cut.Nothing())
					other.MustPublish("/void", `"lost"`)
					proc.Until(t, proc.Patience, "the message goes into the void", func() error {
						if _, down := proxy.Dropped(); down == 0 {
							return errors.New("not yet")
						}
						return nil
					})
					proxy.Abandon()

					v.dial(to)
					if got := v.connect(); len(got) != 1 || string(got[0].Data) != `"lost"` {
						t.Fatalf("the next connect brings %v", got)
					}
					other.MustPublish("/void", `"later"`)
					if got := v.connect(); len(got) != 1 || string(got[0].Data) != `"later"` {
						t.Fatalf("the connect after it brings %v", got)
					}
				})
			}
		}
	}
}

// vanisher is a client with the ack extension.
type vanisher struct {
	*testing.T
	url, id string
	acked   string
	n       int
	ask     func(text, id string) (reply wire.Message, messages []wire.Message)
	send    func(text string)
}

// dial takes a new connection.
func (v *vanisher) dial(transport string) {
	v.Helper()
	if transport == "websocket" {
		s := wire.MustOpen(v, v.url, "")
		v.ask = func(text, id string) (wire.Message, []wire.Message) {
			reply, before, err := s.Ask(text, id, proc.Patience)
			if err != nil {
				v.Fatal(err)
			}
			return reply, before
		}
		v.send = func(text string) {
			if err := s.Write(wire.OpText, []byte(text)); err != nil {
				v.Fatal(err)
			}
		}
		return
	}
	w := wire.New(v, v.url)
	v.ask = func(text, id string) (wire.Message, []wire.Message) {
		a, err := w.Post(v.Context(), text)
		if err != nil {
			v.Fatal(err)
		}
		last := len(a.Messages) - 1
		if last < 0 || a.Messages[last].ID != id {
			v.Fatalf("no reply to %s at the end of %s", text, a.Body)
		}
		return a.Messages[last], a.Messages[:last]
	}
	v.send = func(text string) {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { defer close(ended); w.Post(ctx, text) }()
		v.Cleanup(func() { cancel(); <-ended })
	}
}

// message makes one, with a new id.
func (v *vanisher) message(channel, fields string) (text, id string) {
	v.n++
	id = fmt.Sprint("v", v.n)
	return fmt.Sprintf(`[{"channel":%q,"clientId":%q,"id":%q,%s}]`, channel, v.id, id, fields), id
}

// meet handshakes, subscribes, and makes the first connect, which is answered at once.
func (v *vanisher) meet() {
	v.Helper()
	hello, _ := v.ask(v.message("/meta/handshake",
		`"version":"1.0","supportedConnectionTypes":["websocket","long-polling"],"ext":{"ack":true}`))
	if string(hello.Ext) != `{"ack":true}` {
		v.Fatalf("handshake with ext %q", hello.Ext)
	}
	v.id, v.acked = hello.ClientID, `{"ack":0}`
	if reply, _ := v.ask(v.message("/meta/subscribe", `"subscription":"/void"`)); !reply.Successful {
		v.Fatalf("subscribe: %s", reply.Error)
	}
	v.connect()
}

func (v *vanisher) connectMessage(timeout string) (text, id string) {
	return v.message("/meta/connect", `"connectionType":"long-polling","ext":`+v.acked+timeout)
}

// connect acknowledges what it has, asks for an answer at once, and returns the messages in it.
func (v *vanisher) connect() []wire.Message {
	v.Helper()
	reply, messages := v.ask(v.connectMessage(`,"advice":{"timeout":0}`))
	if !reply.Successful || len(reply.Ext) == 0 {
		v.Fatalf("connect: %s, ext %q", reply.Error, reply.Ext)
	}
	v.acked = string(reply.Ext)
	return messages
}

// hold leaves a connect at the comet, the answer to which nobody reads.
func (v *vanisher) hold() {
	v.Helper()
	text, _ := v.connectMessage("")
	v.send(text)
}
