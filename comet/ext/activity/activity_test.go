package activity

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/halleycomet/halley/comet"
)

// clock is what the extension takes for the time.
type clock struct{ passed atomic.Int64 }

func (c *clock) now() time.Time       { return time.Unix(0, c.passed.Load()) }
func (c *clock) pass(d time.Duration) { c.passed.Add(int64(d)) }

// serve runs a comet with the extension, and returns its URL.
func serve(t *testing.T, kind Kind, c *clock) (*comet.Server, string) {
	t.Helper()
	cfg := comet.DefaultConfig()
	cfg.Name = "a"
	s, err := comet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.AddExtension(with(kind, time.Minute, c.now))
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, ln.Addr().String() + "/cometd"
}

func post(t *testing.T, url, id, message string) string {
	t.Helper()
	resp, err := http.Post("http://"+url, "application/json", strings.NewReader("["+strings.ReplaceAll(message, "%", id)+"]"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func clientID(t *testing.T, body string) string {
	t.Helper()
	var replies []struct{ ClientID string }
	if err := json.Unmarshal([]byte(body), &replies); err != nil || replies[0].ClientID == "" {
		t.Fatalf("no handshake: %s", body)
	}
	return replies[0].ClientID
}

const (
	shake   = `{"channel":"/meta/handshake"}`
	connect = `{"channel":"/meta/connect","clientId":"%","id":"2","advice":{"timeout":0}}`
	publish = `{"channel":"/a","clientId":"%","data":1}`

	goodbye = `{"channel":"/meta/disconnect","successful":true}`
	refusal = `{"id":"2","channel":"/meta/connect","successful":false,"error":"402::session_unknown","advice":{"reconnect":"none","interval":0}}`
)

func TestInactive(t *testing.T) {
	var c clock
	_, url := serve(t, Client, &c)
	id := clientID(t, post(t, url, "", shake))
	for range 3 {
		c.pass(40 * time.Second)
		post(t, url, id, connect)
		c.pass(20 * time.Second)
		post(t, url, id, publish)
	}
	c.pass(time.Minute)
	if got := post(t, url, id, connect); !strings.Contains(got, `"successful":true`) {
		t.Fatalf("too early: %s", got)
	}
	c.pass(1)
	if got := post(t, url, id, connect); got != "["+goodbye+","+refusal+"]" {
		t.Errorf("got %s", got)
	}
	if got := post(t, url, id, connect); !strings.Contains(got, `"reconnect":"handshake"`) {
		t.Errorf("afterwards: %s", got)
	}
}

func TestInactiveOverWebSocket(t *testing.T) {
	var c clock
	_, url := serve(t, Client, &c)
	ws, _, err := websocket.DefaultDialer.Dial("ws://"+url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	say := func(id, message string) {
		if err := ws.WriteMessage(websocket.TextMessage, []byte("["+strings.ReplaceAll(message, "%", id)+"]")); err != nil {
			t.Fatal(err)
		}
	}
	hear := func() string {
		_, body, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	say("", shake)
	id := clientID(t, hear())
	say(id, connect)
	hear()
	c.pass(time.Minute + 1)
	say(id, connect)
	if got := hear() + hear(); got != "["+goodbye+"]["+refusal+"]" {
		t.Errorf("got %s", got)
	}
}

func TestDeliveriesCount(t *testing.T) {
	for kind, stays := range map[Kind]bool{Client: false, ClientServer: true} {
		var c clock
		s, url := serve(t, kind, &c)
		id := clientID(t, post(t, url, "", shake))
		c.pass(40 * time.Second)
		if err := s.Session(id).Deliver("/x", 1); err != nil {
			t.Fatal(err)
		}
		c.pass(40 * time.Second)
		if got := post(t, url, id, connect); strings.Contains(got, `"successful":true,"advice"`) != stays {
			t.Errorf("%v: %s", kind, got)
		}
	}
}
