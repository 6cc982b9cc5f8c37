package client

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

func bubble(t *testing.T, name string, f func(*testing.T, *fake)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t, newFake(t)) })
	})
}

func TestSession(t *testing.T) {
	for _, via := range []Transport{WebSocket, LongPolling} {
		v := string(via)
		opening := []string{v + " upgrade"}
		if via == LongPolling {
			opening = nil
		}

		bubble(t, v+": handshake, join, connect, messages, disconnect", func(t *testing.T, f *fake) {
			f.on("/x", then(sending(`{"channel":"/a","data":1}`, `{"channel":"/a","data":2}`), f.byDefault))
			a := f.run(func(c *Config, a *app) {
				over(via)(c, a)
				c.HandshakeExt = func() bayeux.RawJSON { return `{"org.cometd.oort":{"oortId":"i"}}` }
				c.OnHandshake = func(r Reply) {
					a.tell("handshake " + r.ClientID + " " + string(r.Advice))
					replies, err := a.Batch(t.Context(), []Request{SubscribeRequest("/a"), SubscribeRequest("/b", "/c"), PublishRequest("/x", `{"<":"&"}`)})
					if err != nil || len(replies) != 3 || replies[1].Subscription != `["/b","/c"]` || replies[2].Channel != "/x" {
						t.Errorf("batch: %v %v", replies, err)
					}
				}
			})
			synctest.Wait()
			if err := a.Publish(t.Context(), "/y", `"while the connect is held"`); err != nil {
				t.Error(err)
			}
			if id := a.ClientID(); id != "c1" {
				t.Errorf("clientId %q", id)
			}
			a.stop()
			if a.err != nil {
				t.Errorf("Run: %v", a.err)
			}
			equal(t, "the server saw", f.log(), append(opening,
				v+" /meta/handshake",
				v+` /meta/subscribe c1 "/a"`,
				v+` /meta/subscribe c1 ["/b","/c"]`,
				v+" /x c1",
				v+" /meta/connect c1",
				v+" /meta/connect c1",
				v+" /y c1",
				v+" /meta/disconnect c1",
			))
			equal(t, "the application was told", a.heard(), []string{
				`handshake c1 {"reconnect":"retry","interval":0,"timeout":20000}`,
				"message /a 1", "message /a 2", "connect", "disconnect: <nil>",
			})
			h := f.message(bayeux.MetaHandshake, 0)
			if h.Ext != `{"org.cometd.oort":{"oortId":"i"}}` || h.SupportedConnectionTypes != bayeux.RawJSON(`["`+v+`"]`) {
				t.Errorf("handshake: %s", h.Raw)
			}
			if m := f.message("/x", 0); m.Data != `{"<":"&"}` {
				t.Errorf("data was changed: %s", m.Raw)
			}
			first, second := f.message(bayeux.MetaConnect, 0), f.message(bayeux.MetaConnect, 1)
			if first.Advice != `{"timeout":0}` || second.Advice != "" || second.ConnectionType != v {
				t.Errorf("connects: %s, %s", first.Raw, second.Raw)
			}
			if a.ClientID() != "" || !errors.Is(a.Publish(t.Context(), "/y", `1`), ErrNoSession) {
				t.Error("a session after the end")
			}
			if s := a.Stats(); s.Handshakes != 1 || s.Received != 2 || s.Dropped != 0 || s.LateReplies != 0 || s.Breaks != 0 {
				t.Errorf("stats: %+v", s)
			}
			if !errors.Is(a.Run(t.Context()), ErrStarted) {
				t.Error("ran twice")
			}
		})

		bubble(t, v+": 402 with advice handshakes after exactly the interval", func(t *testing.T, f *fake) {
			f.on(bayeux.MetaConnect, f.byDefault,
				answering(`"successful":false,"error":"402::session_unknown","advice":{"reconnect":"handshake","interval":300,"timeout":20000}`))
			a := f.run(over(via))
			pass(time.Second)
			at := f.times("/meta/handshake")
			if len(at) != 2 || at[1]-at[0] != 300*time.Millisecond {
				t.Errorf("handshakes at %v", at)
			}
			equal(t, "the application was told", a.heard(), []string{
				"handshake c1", "connect", "disconnect: /meta/connect refused: 402::session_unknown", "handshake c2", "connect",
			})
		})

		bubble(t, v+": sessions that come to no connect are made ever more slowly", func(t *testing.T, f *fake) {
			unknown := answering(`"successful":false,"error":"402::session_unknown"`)
			f.on(bayeux.MetaConnect, unknown, unknown, unknown, unknown)
			f.run(over(via))
			pass(time.Minute)
			at := f.times("/meta/handshake")
			if len(at) != 5 || at[1] != at[0] {
				t.Fatalf("handshakes at %v", at)
			}
			within(t, "second pause", at[2]-at[1], 250*time.Millisecond, 500*time.Millisecond)
			within(t, "third pause", at[3]-at[2], 500*time.Millisecond, time.Second)
			within(t, "fourth pause", at[4]-at[3], time.Second, 2*time.Second)
		})

		for _, end := range []struct {
			name, channel string
			answer        scripted
			want          error
			told          []string
		}{
			{
				"handshake refused with advice none", bayeux.MetaHandshake,
				answering(`"successful":false,"error":"403::handshake_denied","advice":{"reconnect":"none"}`),
				ErrAdvisedNone, nil,
			},
			{
				"connect refused with advice none", bayeux.MetaConnect,
				answering(`"successful":false,"error":"403::gone","advice":{"reconnect":"none"}`),
				ErrAdvisedNone,
				[]string{"handshake c1", "disconnect: server advised not to reconnect: /meta/connect refused: 403::gone"},
			},
			{
				"connect answered with advice none", bayeux.MetaConnect,
				answering(`"successful":true,"advice":{"reconnect":"none"}`),
				ErrServerDisconnect,
				[]string{"handshake c1", "disconnect: disconnected by the server"},
			},
			{
				"disconnected by the server", bayeux.MetaConnect,
				sending(`{"channel":"/a","data":1}`, `{"channel":"/meta/disconnect","successful":true}`),
				ErrServerDisconnect,
				[]string{"handshake c1", "message /a 1", "disconnect: disconnected by the server"},
			},
			{
				"no transport in common", bayeux.MetaHandshake,
				answering(`"successful":true,"clientId":"c1","supportedConnectionTypes":["callback-polling"]`),
				ErrNoTransport,
				[]string{"handshake c1", `disconnect: no common transport: the server supports ["callback-polling"]`},
			},
		} {
			bubble(t, v+": "+end.name, func(t *testing.T, f *fake) {
				f.on(end.channel, end.answer)
				a := f.run(over(via))
				<-a.ended
				if !errors.Is(a.err, end.want) {
					t.Errorf("Run: %v, want %v", a.err, end.want)
				}
				equal(t, "the application was told", a.heard(), end.told)
				for _, line := range f.log() {
					if line == v+" /meta/disconnect c1" {
						t.Error("said goodbye to a server that ended the session")
					}
				}
			})
		}

		bubble(t, v+": handshake refused otherwise is tried again", func(t *testing.T, f *fake) {
			f.on(bayeux.MetaHandshake,
				answering(`"successful":false,"error":"503::no_comet","advice":{"reconnect":"handshake","interval":2000,"timeout":0}`),
				answering(`"successful":false,"error":"500::odd"`),
				answering(`"successful":true`))
			f.run(over(via))
			pass(time.Minute)
			at := f.times("/meta/handshake")
			if len(at) != 4 {
				t.Fatalf("handshakes at %v", at)
			}
			within(t, "pause by advice", at[1]-at[0], 2250*time.Millisecond, 2500*time.Millisecond)
			within(t, "second pause", at[2]-at[1], 500*time.Millisecond, time.Second)
			within(t, "third pause", at[3]-at[2], time.Second, 2*time.Second)
		})

		bubble(t, v+": the interval of the advice is kept", func(t *testing.T, f *fake) {
			f.on(bayeux.MetaConnect, answering(`"successful":true,"advice":{"reconnect":"retry","interval":700,"timeout":20000}`))
			f.run(over(via))
			pass(time.Second)
			if at := f.times("/meta/connect c1"); len(at) != 2 || at[1]-at[0] != 700*time.Millisecond {
				t.Errorf("connects at %v", at)
			}
		})

		bubble(t, v+": replies in any order, and unsuccessful ones", func(t *testing.T, f *fake) {
			var first bayeux.Message
			f.on("/1", func(_ *peer, m bayeux.Message) { first = m })
			f.on("/2", func(p *peer, m bayeux.Message) {
				p.send(reply(m, `"successful":false,"error":"403:denied_by_security_policy:publish_denied"`),
					`{"channel":"/1","id":"`+first.ID+`","data":"an answer to a remote call"}`, reply(first, `"successful":true`),
					`{"channel":"/1","id":"nobody's","successful":true}`)
			})
			a := f.run(over(via))
			synctest.Wait()
			replies, err := a.Batch(t.Context(), []Request{PublishRequest("/1", `1`), PublishRequest("/2", `2`)})
			if err != nil || !replies[0].Successful || replies[0].Channel != "/1" || replies[1].Err() == nil {
				t.Fatalf("%v %v", replies, err)
			}
			if !errors.Is(replies[1].Err(), Refused(bayeux.Denied(bayeux.OperationPublish, bayeux.ReasonPolicy))) {
				t.Error(replies[1].Err())
			}
			synctest.Wait()
			equal(t, "the application was told", a.heard(), []string{"handshake c1", "connect", `message /1 "an answer to a remote call"`})
			if n := a.Stats().LateReplies; n != 1 {
				t.Errorf("%d late replies", n)
			}
		})
	}
}

func within(t *testing.T, what string, got, low, high time.Duration) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s: %v, want %v to %v", what, got, low, high)
	}
}
