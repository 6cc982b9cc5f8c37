package client

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/halleycomet/halley/bayeux"
)

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
