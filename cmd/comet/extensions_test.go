package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/comet"
)

func TestExtensionsAreOff(t *testing.T) {
	example := settingsOf(finish(t, "config", "--example").stdout.String())
	for name, want := range map[string]string{"timesync-extension": "false", "timestamp-extension": "false", "max-inactivity": "0s"} {
		if example[name] != want {
			t.Errorf("%s: %q", name, example[name])
		}
	}
}

func TestExtensionsAreInstalled(t *testing.T) {
	cfg := comet.DefaultConfig()
	cfg.Name = "a"
	s, err := comet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	(&extensions{timesync: true, timestamp: true, maxInactivity: time.Nanosecond}).install(s)
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	defer func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	post := func(message string) string {
		resp, err := http.Post("http://"+ln.Addr().String()+"/cometd", "application/json", strings.NewReader(message))
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
	shake := post(`[{"channel":"/meta/handshake","ext":{"timesync":{"tc":7}}}]`)
	for _, want := range []string{`"timesync":{"tc":7,"ts":`, `"timestamp":"`} {
		if !strings.Contains(shake, want) {
			t.Errorf("%s lacks %s", shake, want)
		}
	}
	var replies []struct{ ClientID string }
	if err := json.Unmarshal([]byte(shake), &replies); err != nil {
		t.Fatal(err)
	}
	if got := post(`[{"channel":"/meta/connect","clientId":"` + replies[0].ClientID + `"}]`); !strings.Contains(got, `"reconnect":"none"`) {
		t.Errorf("inactive: %s", got)
	}
}
