package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/halleycomet/halley/bayeux"
)

// The ways in which an upgrade fails. Each returns true when it has answered.
func upgradeStatus(code int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(code)
		return true
	}
}

func upgradeCut(w http.ResponseWriter, _ *http.Request) bool {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
	return true
}

func upgradeHangs(w http.ResponseWriter, r *http.Request) bool {
	<-r.Context().Done()
	return true
}

func TestFallback(t *testing.T) {
	// After the fallback the server forgets the session, so that a second
	// handshake tells what was for good.
	forget := answering(`"successful":false,"error":"402::session_unknown","advice":{"reconnect":"handshake","interval":0}`)
	polled := []string{"long-polling /meta/handshake", "long-polling /meta/connect c1"}
	good := slices.Concat([]string{"websocket upgrade"}, polled, []string{"long-polling /meta/handshake", "long-polling /meta/connect c2"})
	once := slices.Concat([]string{"websocket upgrade"}, polled, []string{"websocket upgrade", "websocket /meta/handshake", "websocket /meta/connect c2"})
	for name, c := range map[string]struct {
		upgrade func(http.ResponseWriter, *http.Request) bool
		want    []string
	}{
		"400: for good":            {upgradeStatus(http.StatusBadRequest), good},
		"404: for good":            {upgradeStatus(http.StatusNotFound), good},
		"200: for good":            {upgradeStatus(http.StatusOK), good},
		"502: for this handshake":  {upgradeStatus(http.StatusBadGateway), once},
		"503: for this handshake":  {upgradeStatus(http.StatusServiceUnavailable), once},
		"429: for this handshake":  {upgradeStatus(http.StatusTooManyRequests), once},
		"cut: for this handshake":  {upgradeCut, once},
		"hang: for this handshake": {upgradeHangs, once},
	} {
		bubble(t, name, func(t *testing.T, f *fake) {
			f.upgrade = append(f.upgrade, c.upgrade)
			f.on(bayeux.MetaConnect, forget)
			f.run(nil)
			pass(11 * time.Second)
			got := f.log()
			equal(t, "the server saw", got[:min(len(got), len(c.want))], c.want)
		})
	}

	bubble(t, "a server that is not there says nothing of WebSockets", func(t *testing.T, f *fake) {
		down := 3
		f.ln.refuse = func() error {
			if down--; down >= 0 {
				return syscall.ECONNREFUSED
			}
			return nil
		}
		a := f.run(func(c *Config, a *app) { c.OnRetry = func(err error) { a.tell("retry: " + err.Error()) } })
		pass(time.Minute)
		if got := f.log(); got[0] != "websocket upgrade" || got[1] != "websocket /meta/handshake" || down >= 0 {
			t.Errorf("the server saw %q, %d", got, down)
		}
		at := f.times("upgrade")[0]
		within(t, "three pauses", at, 1750*time.Millisecond, 3500*time.Millisecond)
		retry := "retry: open WebSocket: connection refused"
		equal(t, "the application was told", a.heard(), []string{retry, retry, retry, "handshake c1", "connect"})
	})

	bubble(t, "a WebSocket that opened once is kept", func(t *testing.T, f *fake) {
		f.upgrade = []func(http.ResponseWriter, *http.Request) bool{nil, upgradeStatus(400), upgradeCut}
		f.on(bayeux.MetaConnect, forget.after(closing(1001, "")))
		f.run(nil)
		pass(time.Minute)
		if slices.ContainsFunc(f.log(), func(s string) bool { return strings.HasPrefix(s, "long-polling") }) {
			t.Errorf("the server saw %q", f.log())
		}
		if n := len(f.times("upgrade")); n != 4 {
			t.Errorf("%d upgrades: %q", n, f.log())
		}
	})

	bubble(t, "no other transport is left", func(t *testing.T, f *fake) {
		f.upgrade = append(f.upgrade, upgradeStatus(400))
		a := f.run(over(WebSocket))
		<-a.ended
		var status *StatusError
		if !errors.Is(a.err, ErrNoTransport) || !errors.As(a.err, &status) || status.Status != 400 {
			t.Error(a.err)
		}
	})

	bubble(t, "the server supports the second only", func(t *testing.T, f *fake) {
		f.on(bayeux.MetaHandshake, answering(`"successful":true,"clientId":"c1","supportedConnectionTypes":["long-polling"]`))
		a := f.run(nil)
		pass(time.Second)
		equal(t, "the server saw", f.log()[:4], []string{
			"websocket upgrade", "websocket /meta/handshake", "long-polling /meta/connect c1", "long-polling /meta/connect c1",
		})
		if err := a.Publish(t.Context(), "/x", "1"); err != nil {
			t.Error(err)
		}
		if m := f.log(); m[len(m)-1] != "long-polling /x c1" {
			t.Errorf("the server saw %q", m)
		}
	})

	bubble(t, "a server that names no transports", func(t *testing.T, f *fake) {
		f.on(bayeux.MetaHandshake, answering(`"successful":true,"clientId":"c1"`))
		a := f.run(nil)
		pass(time.Second)
		if got := a.heard(); len(got) != 2 || got[1] != "connect" {
			t.Error(got)
		}
	})

	bubble(t, "long-polling first", func(t *testing.T, f *fake) {
		f.run(func(c *Config, _ *app) { c.Transports = []Transport{LongPolling, WebSocket} })
		pass(time.Second)
		equal(t, "the server saw", f.log(), []string{
			"long-polling /meta/handshake", "long-polling /meta/connect c1", "long-polling /meta/connect c1",
		})
		if m := f.message(bayeux.MetaHandshake, 0); m.SupportedConnectionTypes != `["long-polling","websocket"]` {
			t.Error(m.Raw)
		}
	})
}

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

func TestBounds(t *testing.T) {
	for _, via := range []Transport{WebSocket, LongPolling} {
		bubble(t, string(via)+": messages that nobody consumes", func(t *testing.T, f *fake) {
			big := `{"channel":"/a","data":"` + strings.Repeat("x", 1000) + `"}`
			f.on(bayeux.MetaConnect, f.byDefault, then(sending(big, big, big, big), f.byDefault))
			release := make(chan struct{})
			a := f.run(func(c *Config, a *app) {
				over(via)(c, a)
				c.MaxQueue = 2600 // two of them
				c.OnMessage = func(m *bayeux.Message) { <-release }
			})
			// One is being consumed, two are queued, the fourth waits.
			pass(9 * time.Second)
			if s := a.Stats(); s.Dropped != 0 || len(a.heard()) != 2 {
				t.Errorf("too early: %+v, %q", s, a.heard())
			}
			pass(hold + 2*time.Second)
			close(release)
			pass(time.Second)
			equal(t, "the application was told", a.heard(), []string{
				"handshake c1", "connect", "break: received messages are not consumed", "connect",
			})
			if s := a.Stats(); s.Received != 3 || s.Dropped != 1 {
				t.Errorf("%+v", s)
			}
		})
		bubble(t, string(via)+": messages that are consumed in time", func(t *testing.T, f *fake) {
			big := `{"channel":"/a","data":"` + strings.Repeat("x", 1000) + `"}`
			f.on(bayeux.MetaConnect, f.byDefault, then(sending(big, big, big, big, big, big), f.byDefault))
			a := f.run(func(c *Config, a *app) {
				over(via)(c, a)
				c.MaxQueue = 2600
				c.OnMessage = func(m *bayeux.Message) { <-time.After(2 * time.Second) }
			})
			pass(2 * time.Minute)
			if s := a.Stats(); s.Received != 6 || s.Dropped != 0 || s.Breaks != 0 {
				t.Errorf("%+v", s)
			}
		})
		bubble(t, string(via)+": batches in flight", func(t *testing.T, f *fake) {
			f.on("/x", silence)
			a := f.run(func(c *Config, a *app) {
				over(via)(c, a)
				c.MaxInFlight = 1
			})
			pass(time.Second)
			first := make(chan error, 1)
			go func() { first <- a.Publish(t.Context(), "/x", "1") }()
			pass(time.Second)
			if err := a.Publish(t.Context(), "/x", "2"); !errors.Is(err, ErrBusy) {
				t.Error(err)
			}
			<-first
		})
	}
	bubble(t, "binary frames are ignored", func(t *testing.T, f *fake) {
		f.on(bayeux.MetaConnect, f.byDefault, func(p *peer, m bayeux.Message) {
			p.mu.Lock()
			p.socket.WriteMessage(websocket.BinaryMessage, []byte("[{"))
			p.mu.Unlock()
			p.send(`{"channel":"/a","data":1}`)
			f.byDefault(p, m)
		})
		a := f.run(nil)
		pass(time.Second)
		equal(t, "the application was told", a.heard(), []string{"handshake c1", "connect", "message /a 1"})
		if a.Stats().Ignored != 1 {
			t.Error("not counted")
		}
	})
	bubble(t, "data that is no JSON is not sent", func(t *testing.T, f *fake) {
		a := f.run(nil)
		pass(time.Second)
		if err := a.Publish(t.Context(), "/x", `1},{"channel":"/y"`); err == nil {
			t.Error("accepted")
		}
		if n := len(f.times("/x c1")); n != 0 {
			t.Error("sent")
		}
	})
	bubble(t, "cookies are kept, across transports", func(t *testing.T, f *fake) {
		f.on(bayeux.MetaConnect, f.byDefault, answering(`"successful":false,"error":"402::x"`))
		f.upgrade = append(f.upgrade, upgradeStatus(503))
		f.run(func(c *Config, _ *app) { c.Header = http.Header{"X-Test": {"1"}} })
		pass(time.Second)
		for i, h := range f.headers {
			if (h.Get("Cookie") == "BAYEUX_BROWSER=jar") != (i > 0) || h.Get("X-Test") != "1" {
				t.Errorf("request %d: %v", i, h)
			}
		}
		if last := f.headers[len(f.headers)-1]; last.Get("Upgrade") != "websocket" {
			t.Error("no second upgrade")
		}
	})
}
