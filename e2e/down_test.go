package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// With no comet up, the balancer answers in Bayeux that one should come again.
func TestAllCometsDown(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	b := c.Balancer("balancer")
	b.Covers(comets...)
	w := wire.New(t, b.URL())
	w.MustHandshake()
	s := wire.MustOpen(t, b.URL(), "127.0.12.1")
	s.MustHandshake()
	for _, m := range comets {
		m.Kill()
	}
	if code, _, err := s.AwaitClose(proc.Patience); err != nil || code != 1012 {
		t.Errorf("the open socket was closed with %d, %v; want 1012", code, err)
	}

	t.Run("http", func(t *testing.T) {
		for _, message := range []string{
			`{"channel":"/meta/handshake","id":"7","version":"1.0","supportedConnectionTypes":["long-polling"]}`,
			`{"channel":"/meta/connect","id":"7","connectionType":"long-polling","clientId":"` + w.ClientID + `"}`,
			`{"channel":"/meta/connect","id":"7","connectionType":"long-polling","clientId":"0123456789abcdef0123456789abcdef"}`,
			`{"channel":"/chat","id":"7","data":1,"clientId":"` + w.ClientID + `"}`,
		} {
			a, err := w.Post(t.Context(), "["+message+"]")
			if err != nil {
				t.Fatalf("%s: %v", message, err)
			}
			if html(a.Body) || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
				t.Errorf("%s: %s %.200s", message, a.Header.Get("Content-Type"), a.Body)
			}
			m, err := wire.By(a.Messages, "7")
			if err != nil {
				t.Fatalf("%s: %v", message, err)
			}
			if m.Successful || m.Error == "" {
				t.Errorf("%s: successful %v, error %q", message, m.Successful, m.Error)
			}
			if m.Channel == "/chat" {
				continue
			}
			// A session whose comet is known to be dead is told to handshake, and like all
			// others not at once: nobody is there.
			dead := m.Channel == "/meta/connect" && m.Error == "402::session_unknown" && m.Advice != nil && m.Advice.Reconnect == "handshake"
			retry := m.Advice != nil && m.Advice.Reconnect == "retry"
			if !dead && !retry || m.Advice.Interval == nil || *m.Advice.Interval <= 0 {
				t.Errorf("%s: error %q, advice %s", message, m.Error, m.Has["advice"])
			}
		}
	})

	t.Run("websocket", func(t *testing.T) {
		s, err := wire.Open(t, b.URL(), "127.0.12.2", nil)
		if err != nil {
			t.Fatalf("an upgrade must not be refused: %v", err)
		}
		if err := s.Write(wire.OpText, []byte(`[{"channel":"/meta/handshake","id":"7","version":"1.0","supportedConnectionTypes":["websocket"]}]`)); err != nil {
			t.Fatal(err)
		}
		code, before, err := s.AwaitClose(time.Minute)
		if err != nil || code != 1013 {
			t.Errorf("closed with %d, %v; want 1013", code, err)
		}
		m, err := wire.By(before, "7")
		if err != nil {
			t.Fatalf("no reply before the close: %v", err)
		}
		if m.Successful || m.Advice == nil || m.Advice.Reconnect != "retry" {
			t.Errorf("successful %v, advice %s", m.Successful, m.Has["advice"])
		}
	})

	t.Run("recovery", func(t *testing.T) {
		// Every address that a comet ever had is gone; this one has a new one.
		waiting := make(chan error, 1)
		go func() {
			s, err := wire.Open(t, b.URL(), "127.0.12.3", nil)
			if err == nil {
				s.Close()
			}
			waiting <- err
		}()
		c.Comet("comet-1")
		b.Ready()
		if err := <-waiting; err != nil {
			t.Errorf("a socket opened before the comet came: %v", err)
		}
		s := wire.MustOpen(t, b.URL(), "127.0.12.4")
		if id := s.MustHandshake(); id == "" {
			t.Error("no clientId")
		}
	})
}

// html tells whether an answer looks like a page for people.
func html(body []byte) bool {
	text := strings.ToLower(string(body))
	return strings.Contains(text, "<html") || strings.Contains(text, "<!doctype")
}
