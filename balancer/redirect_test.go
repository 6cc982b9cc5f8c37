package balancer

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRedirect(t *testing.T) {
	a := newFakeComet(t, "a", ok)
	cfg := quick()
	cfg.TLS.RedirectPort = 8443
	cfg.TrustedProxies = []string{"127.0.0.1"}
	b := listing(t, cfg, a)
	for _, tc := range []struct{ name, sent, status, location string }{
		{"a page", "GET /a//b?c=%20d HTTP/1.1\r\nHost: App.Example:81\r\n\r\n", "308", "https://App.Example:8443/a//b?c=%20d"},
		{"messages", "POST /cometd HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n[]", "308", "https://a:8443/cometd"},
		{"an everyday request", "POST /cometd HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\n[{\"channel\":\"/\"}]", "308", "https://a:8443/cometd"},
		{"an address", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "308", "https://[::1]:8443/"},
		{"an upgrade", "GET /cometd HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", "308", "https://a:8443/cometd"},
		{"a proxy took it by https", "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n", "200", ""},
		{"a proxy took it by http", "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: http\r\n\r\n", "308", "https://a:8443/"},
		{"no host", "GET / HTTP/1.0\r\n\r\n", "400", ""},
		{"a host that is none", "GET / HTTP/1.1\r\nHost: a\"b\r\n\r\n", "400", ""},
		{"no path", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "308", "https://a:8443/"},
	} {
		got := b.raw(tc.sent)
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(got)), nil)
		if err != nil {
			t.Errorf("%s: %v in %q", tc.name, err, got)
			continue
		}
		if !strings.HasPrefix(resp.Status, tc.status) || resp.Header.Get("Location") != tc.location {
			t.Errorf("%s: %s, %q", tc.name, resp.Status, resp.Header.Get("Location"))
		}
	}
	cfg.TLS.RedirectPort = 443
	b = listing(t, cfg, a)
	if got := b.raw("GET /x HTTP/1.1\r\nHost: a:80\r\n\r\n"); !strings.Contains(got, "Location: https://a/x\r\n") {
		t.Errorf("the usual port: %q", got)
	}
}

func TestTransportSecurity(t *testing.T) {
	own := "max-age=1; includeSubDomains"
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/own" {
			w.Header().Set("Strict-Transport-Security", own)
		}
		io.WriteString(w, "ok")
	})
	cfg := quick()
	cfg.TLS.HSTS = time.Hour
	s := overTLS(t, cfg, a)
	for path, want := range map[string]string{"/x": "max-age=3600", "/own": own} {
		got := says(t, s.open(), "GET "+path+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		if strings.Count(got, "Strict-Transport-Security: ") != 1 || !strings.Contains(got, ": "+want+"\r\n") {
			t.Errorf("%s: %q", path, got)
		}
	}
	// Over plain HTTP it would count for nothing (RFC 6797, 8.1).
	if got := listing(t, cfg, a).get("/x"); got.header.Get("Strict-Transport-Security") != "" {
		t.Errorf("over HTTP: %v", got.header)
	}
}
