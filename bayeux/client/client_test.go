package client

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain makes the certificate of httptest's TLS server one that the standard
// library trusts, the way an operator does it.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "client")
	if err == nil {
		srv := httptest.NewTLSServer(nil)
		block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
		srv.Close()
		file := filepath.Join(dir, "ca.pem")
		if err = os.WriteFile(file, block, 0o600); err == nil {
			os.Setenv("SSL_CERT_FILE", file)
		}
	}
	if err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// Real sockets: plain and TLS, both transports; and nothing alive after.
func TestRealSockets(t *testing.T) {
	for _, c := range []struct {
		name  string
		start func(http.Handler) *httptest.Server
		via   Transport
	}{
		{"plain websocket", httptest.NewServer, WebSocket},
		{"plain long-polling", httptest.NewServer, LongPolling},
		{"TLS websocket", httptest.NewTLSServer, WebSocket},
		{"TLS long-polling", httptest.NewTLSServer, LongPolling},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer goleak.VerifyNone(t)
			f := &fake{t: t, start: time.Now(), script: make(map[string][]scripted)}
			srv := c.start(f)
			defer srv.Close()
			cfg := DefaultConfig(srv.URL + "/cometd")
			cfg.Transports = []Transport{c.via}
			connected := make(chan struct{})
			cfg.OnConnect = func() { close(connected) }
			client, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- client.Run(ctx) }()
			<-connected
			if err := client.Publish(t.Context(), "/x", `1`); err != nil {
				t.Error(err)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if log := f.log(); log[len(log)-1] != string(c.via)+" /meta/disconnect c1" {
				t.Errorf("the server saw %q", log)
			}
		})
	}
}

func TestUntrustedCertificate(t *testing.T) {
	srv := httptest.NewUnstartedServer(nil)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	// The certificate is trusted, but for other names.
	cfg := DefaultConfig(strings.Replace(srv.URL, "127.0.0.1", "localhost", 1))
	cfg.Transports = []Transport{WebSocket}
	client, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.dialSocket(t.Context())
	if err == nil || !strings.Contains(err.Error(), "x509") {
		t.Errorf("%v", err)
	}
}

func TestValidateReportsAll(t *testing.T) {
	cfg := DefaultConfig("ftp://host/cometd")
	cfg.Transports = []Transport{WebSocket, WebSocket, "carrier-pigeon"}
	cfg.MaxNetworkDelay, cfg.BackoffMin, cfg.DisconnectTimeout = 0, 0, -1
	cfg.BackoffMax = -1
	cfg.MaxMessageSize, cfg.MaxQueue, cfg.MaxInFlight = 0, 0, 0
	_, err := New(cfg)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, field := range []string{
		"URL: ", `"websocket" stands twice`, "carrier-pigeon", "MaxNetworkDelay: ", "BackoffMin: ", "BackoffMax: ",
		"DisconnectTimeout: ", "MaxMessageSize: ", "MaxQueue: ", "MaxInFlight: ",
	} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("no word of %q in:\n%v", field, err)
		}
	}
}

func TestEndpoints(t *testing.T) {
	for url, want := range map[string][2]string{
		"http://h:1/cometd":     {"http://h:1/cometd", "ws://h:1/cometd"},
		"wss://h/cometd?a=b#c":  {"https://h/cometd?a=b", "wss://h/cometd?a=b"},
		"HTTPS://h":             {"https://h", "wss://h"},
		"ws://[::1]:80/a/":      {"http://[::1]:80/a/", "ws://[::1]:80/a/"},
		"http://user@h/":        {},
		"http:///cometd":        {},
		"http://:80/cometd":     {},
		"h:80/cometd":           {},
		"http://h/%zz":          {},
		"javascript:alert(1)":   {},
		"":                      {},
		"http://h:notaport/com": {},
	} {
		poll, socket, err := endpoints(url)
		if [2]string{poll, socket} != want || (err == nil) != (poll != "") {
			t.Errorf("%q: %q %q %v", url, poll, socket, err)
		}
	}
}

func TestBackoff(t *testing.T) {
	for _, random := range []func(time.Duration) time.Duration{
		func(time.Duration) time.Duration { return 0 },
		func(n time.Duration) time.Duration { return n - 1 },
	} {
		p := pacing{min: 100, max: 1000, random: random}
		full := []time.Duration{0, 100, 200, 400, 800, 1000, 1000}
		for n, want := range full {
			got := p.backoff(n)
			if got < want/2 || got > want {
				t.Errorf("after %d failures: %d, not in the upper half of %d", n, got, want)
			}
		}
		if got := p.backoff(1 << 30); got > 1000 || got < 500 {
			t.Errorf("after many: %d", got)
		}
	}
}

func TestNoSessionBeforeRun(t *testing.T) {
	c, err := New(DefaultConfig("http://localhost/"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Publish(t.Context(), "/x", "1"); !errors.Is(err, ErrNoSession) {
		t.Error(err)
	}
	if r, err := c.Batch(t.Context(), nil); r != nil || err != nil {
		t.Error(r, err)
	}
}
