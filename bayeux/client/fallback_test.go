package client

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

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
