package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// after runs another one first.
func (s scripted) after(first scripted) scripted { return then(first, s) }

func TestBreak(t *testing.T) {
	for _, c := range []struct {
		name      string
		via       Transport
		answer    scripted
		told      string
		low, high time.Duration // from the break to the next connect
	}{
		{"1001", WebSocket, closing(1001, "bye"), "WebSocket closed by the server: 1001 bye", 250 * time.Millisecond, 500 * time.Millisecond},
		{"1000", WebSocket, closing(1000, ""), "WebSocket closed by the server: 1000", 250 * time.Millisecond, 500 * time.Millisecond},
		{"1012", WebSocket, closing(1012, ""), "WebSocket closed by the server: 1012", 250 * time.Millisecond, 500 * time.Millisecond},
		{"1013", WebSocket, closing(1013, ""), "WebSocket closed by the server: 1013", LaterDelay, 2 * LaterDelay},
		{"1011", WebSocket, closing(1011, ""), "WebSocket closed by the server: 1011", LaterDelay, 2 * LaterDelay},
		{"1008", WebSocket, closing(1008, ""), "WebSocket closed by the server: 1008", LaterDelay, 2 * LaterDelay},
		{"cut", WebSocket, func(p *peer, _ bayeux.Message) { p.socket.NetConn().Close() }, "WebSocket closed by the server: 1006 unexpected EOF", 250 * time.Millisecond, 500 * time.Millisecond},
		{"garbage", WebSocket, sending(`{`), "not a Bayeux answer: not valid JSON in UTF-8", 250 * time.Millisecond, 500 * time.Millisecond},
		{"a large frame", WebSocket, sending(`{"channel":"/a","data":"` + strings.Repeat("x", 5000) + `"}`), "answer is too large", 250 * time.Millisecond, 500 * time.Millisecond},
		{"no answer", WebSocket, silence, "no reply in time", 30*time.Second + 250*time.Millisecond, 30*time.Second + 500*time.Millisecond},
		{"refused, retry", WebSocket, answering(`"successful":false,"error":"503::no_comet","advice":{"reconnect":"retry","interval":100}`), "/meta/connect refused: 503::no_comet", 350 * time.Millisecond, 600 * time.Millisecond},

		{"500", LongPolling, status(500, ""), "HTTP status 500", 250 * time.Millisecond, 500 * time.Millisecond},
		{"502 in HTML", LongPolling, status(502, "<html>"), "HTTP status 502", 250 * time.Millisecond, 500 * time.Millisecond},
		{"HTML", LongPolling, status(200, "<html>"), "not a Bayeux answer: not valid JSON in UTF-8", 250 * time.Millisecond, 500 * time.Millisecond},
		{"no reply in the answer", LongPolling, status(200, "[]"), "not a Bayeux answer: a request was not answered", 250 * time.Millisecond, 500 * time.Millisecond},
		{"a redirect", LongPolling, func(p *peer, _ bayeux.Message) { p.status = http.StatusTemporaryRedirect }, "HTTP status 307", 250 * time.Millisecond, 500 * time.Millisecond},
		{"a large answer", LongPolling, status(200, `[{"channel":"/a","data":"`+strings.Repeat("x", 5000)+`"}]`), "answer is too large", 250 * time.Millisecond, 500 * time.Millisecond},
		{"no answer", LongPolling, silence, "no reply in time", 30*time.Second + 250*time.Millisecond, 30*time.Second + 500*time.Millisecond},
		{"refused, no advice", LongPolling, answering(`"successful":false,"error":"500::odd"`), "/meta/connect refused: 500::odd", 250 * time.Millisecond, 500 * time.Millisecond},
	} {
		bubble(t, string(c.via)+": "+c.name, func(t *testing.T, f *fake) {
			f.on(bayeux.MetaConnect, f.byDefault, c.answer)
			a := f.run(func(cfg *Config, a *app) {
				over(c.via)(cfg, a)
				cfg.MaxMessageSize = 4096
			})
			pass(time.Minute)
			told := a.heard()
			equal(t, "the application was told", told, []string{"handshake c1", "connect", "break: " + c.told, "connect"})
			at := f.times("/meta/connect c1")
			within(t, "pause", at[2]-at[1], c.low, c.high)
			if m := f.message(bayeux.MetaConnect, 2); m.Advice != `{"timeout":0}` || m.ClientID != "c1" {
				t.Errorf("connect after the break: %s", m.Raw)
			}
			if n := a.Stats().Breaks; n != 1 {
				t.Errorf("%d breaks", n)
			}
		})
	}

	bubble(t, "what is in flight fails with the reason, once", func(t *testing.T, f *fake) {
		f.on("/x", closing(1009, "too big"))
		a := f.run(over(WebSocket))
		pass(time.Second)
		err := a.Publish(t.Context(), "/x", "1")
		var closed *CloseError
		if !errors.As(err, &closed) || closed.Code != 1009 {
			t.Error(err)
		}
		pass(time.Minute)
		if n := len(f.times("/x c1")); n != 1 {
			t.Errorf("sent %d times", n)
		}
	})

	bubble(t, "while the connection is down there is no session to speak for", func(t *testing.T, f *fake) {
		f.on(bayeux.MetaConnect, f.byDefault, closing(1013, ""))
		a := f.run(over(WebSocket))
		pass(500 * time.Millisecond)
		if err := a.Publish(t.Context(), "/x", "1"); !errors.Is(err, ErrNoSession) {
			t.Error(err)
		}
		if a.ClientID() != "c1" {
			t.Error("the session was forgotten")
		}
		pass(2 * time.Second)
		if err := a.Publish(t.Context(), "/x", "1"); err != nil {
			t.Error(err)
		}
	})

	bubble(t, "a publish without an answer closes the WebSocket in time", func(t *testing.T, f *fake) {
		f.on("/x", silence)
		a := f.run(over(WebSocket))
		pass(time.Second)
		begun := time.Now()
		if err := a.Publish(t.Context(), "/x", "1"); !errors.Is(err, ErrTimeout) || time.Since(begun) != 10*time.Second {
			t.Error(err, time.Since(begun))
		}
		pass(time.Second)
		if got := a.heard(); len(got) != 4 || got[2] != "break: no reply in time" {
			t.Error(got)
		}
	})

	bubble(t, "a publish without an answer leaves polling as it is", func(t *testing.T, f *fake) {
		f.on("/x", silence)
		a := f.run(over(LongPolling))
		pass(time.Second)
		if err := a.Publish(t.Context(), "/x", "1"); !errors.Is(err, ErrTimeout) {
			t.Error(err)
		}
		pass(time.Second)
		if got := a.heard(); len(got) != 2 {
			t.Error(got)
		}
	})

	bubble(t, "a caller that gives up harms nobody", func(t *testing.T, f *fake) {
		f.on("/x", func(p *peer, m bayeux.Message) {
			<-time.After(2 * time.Second)
			f.byDefault(p, m)
		})
		a := f.run(over(WebSocket))
		pass(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.Publish(ctx, "/x", "1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		pass(2 * time.Second)
		if n := a.Stats().LateReplies; n != 1 || len(a.heard()) != 2 {
			t.Error(n, a.heard())
		}
	})
}

func TestEnd(t *testing.T) {
	ends := func(t *testing.T, a *app, most time.Duration) {
		t.Helper()
		begun := time.Now()
		a.stop()
		if d := time.Since(begun); d > most || a.err != nil {
			t.Errorf("Run took %v to end, at most %v: %v", d, most, a.err)
		}
	}
	bubble(t, "close code and reason", func(t *testing.T, f *fake) {
		a := f.run(over(WebSocket))
		pass(time.Second)
		ends(t, a, 0)
		pass(time.Second)
		if len(f.closes) != 1 || f.closes[0] != "websocket: close 1000 (normal): Disconnect" {
			t.Errorf("%q", f.closes)
		}
	})
	for _, via := range []Transport{WebSocket, LongPolling} {
		bubble(t, string(via)+": no answer to the goodbye", func(t *testing.T, f *fake) {
			f.on(bayeux.MetaDisconnect, silence)
			a := f.run(over(via))
			pass(time.Second)
			ends(t, a, 2*time.Second)
			equal(t, "the application was told", a.heard(), []string{"handshake c1", "connect", "disconnect: <nil>"})
		})
		bubble(t, string(via)+": a callback that waits for a reply", func(t *testing.T, f *fake) {
			f.on("/x", silence)
			var got error
			a := f.run(func(c *Config, a *app) {
				over(via)(c, a)
				c.OnHandshake = func(Reply) { got = a.Publish(context.Background(), "/x", "1") }
			})
			pass(time.Second)
			ends(t, a, 4*time.Second)
			if got == nil {
				t.Error("a publish was answered that was not")
			}
		})
	}
	bubble(t, "during an upgrade", func(t *testing.T, f *fake) {
		f.upgrade = append(f.upgrade, upgradeHangs)
		a := f.run(nil)
		pass(time.Second)
		ends(t, a, 0)
	})
	bubble(t, "during a dial", func(t *testing.T, f *fake) {
		a := f.run(func(c *Config, _ *app) {
			c.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		})
		pass(time.Second)
		ends(t, a, 0)
	})
	bubble(t, "during a pause", func(t *testing.T, f *fake) {
		f.on(bayeux.MetaHandshake, answering(`"successful":false,"advice":{"reconnect":"retry","interval":60000}`))
		a := f.run(nil)
		pass(time.Second)
		ends(t, a, 0)
	})
}
