package main

import (
	"context"
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/internal/tlsfiles"
	"github.com/halleycomet/halley/internal/tlstest"
)

// secured are the flags of a comet with a certificate of the authority.
func secured(t *testing.T, authority *tlstest.Authority, dir string) []string {
	t.Helper()
	cert, key := authority.Pair(t, dir, time.Now().Add(time.Hour))
	return []string{"--tls-cert-file", cert, "--tls-key-file", key, "--oort-ca-file", authority.File}
}

func TestToolsOverTLS(t *testing.T) {
	authority := tlstest.New(t)
	server := lone(t, append(secured(t, authority, t.TempDir()), "--admin", "127.0.0.1:0")...)
	if want := "https://" + server.Listen + "/cometd"; server.URL != want {
		t.Errorf("calls itself %s, want %s", server.URL, want)
	}
	for _, transport := range []string{"websocket", "long-polling"} {
		for _, url := range []string{server.URL, strings.Replace(server.URL, "https", "wss", 1)} {
			sub := start(t, nil, nil, "sub", "--ca-file", authority.File, "--transport", transport, url, "/a")
			server.subscribed("/a")
			if pub := finish(t, "pub", "--ca-file", authority.File, "--transport", transport, url, "/a", `"hello"`); pub.status != 0 {
				t.Fatalf("%s %s: %s", transport, url, pub.stderr)
			}
			sub.says(sub.stdout, "/a \"hello\"\n")
			sub.stop()
			if got := finish(t, "health", "--ca-file", authority.File, url); got.status != 0 {
				t.Errorf("health: %s", got.stderr)
			}
			if got := finish(t, "load", "--ca-file", authority.File, "--transport", transport, "--clients", "3", "--warm-up", "0", "--duration", "100ms", url); got.status != 0 {
				t.Errorf("load: %s", got.stderr)
			}
		}
	}
	for _, c := range []struct {
		says   string
		args   []string
		status int
	}{
		{"x509: ", []string{"health", server.URL}, 1},
		{"x509: ", []string{"health", "--ca-file", tlstest.New(t).File, server.URL}, 1},
		{"x509: ", []string{"pub", "--timeout", "1s", server.URL, "/a", "1"}, 1},
		{"--ca-file: ", []string{"sub", "--ca-file", "nowhere.pem", server.URL, "/a"}, 2},
		{"--ca-file: ", []string{"health", "--ca-file", "nowhere.pem", server.URL}, 2},
	} {
		got := finish(t, c.args...)
		if got.status != c.status || !strings.Contains(got.stderr.String(), c.says) {
			t.Errorf("%q: status %d, says %s", c.args, got.status, got.stderr)
		}
	}
	if server.metric("halley_tls_certificate_expiry_timestamp_seconds") == "" {
		t.Error("no metric of the certificate's end")
	}
}

// While clients come and go over both transports the certificate is replaced: none
// of them notices, and those that come later see the new one.
func TestCertificateIsReplacedUnderLoad(t *testing.T) {
	authority, dir := tlstest.New(t), t.TempDir()
	server := lone(t, append(secured(t, authority, dir), "--admin", "127.0.0.1:0")...)
	roots, err := tlsfiles.Client(authority.File)
	if err != nil {
		t.Fatal(err)
	}
	serial := func() string {
		conn, err := tls.Dial("tcp", server.Listen, roots)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	first := serial()
	loading, stop := context.WithCancel(t.Context())
	defer stop()
	var load sync.WaitGroup
	rounds := make(chan struct{}, 1<<16)
	for _, transport := range []client.Transport{client.WebSocket, client.LongPolling} {
		load.Go(func() {
			for loading.Err() == nil {
				cfg := client.DefaultConfig(server.URL)
				cfg.TLS, cfg.Transports = roots, []client.Transport{transport}
				work := newOnce()
				cfg.OnConnect = func() { work.done(nil) }
				cfg.OnRetry = work.done
				c, err := newClient(cfg)
				if err == nil {
					err = work.run(t.Context(), patience, c, func() error { return nil })
				}
				if err != nil {
					t.Errorf("%s: %v", transport, err)
					return
				}
				rounds <- struct{}{}
			}
		})
	}
	server.until("clients come and go", func() bool { return len(rounds) > 10 })
	authority.Pair(t, dir, time.Now().Add(2*time.Hour))
	server.until("the new certificate is shown", func() bool { return serial() != first })
	before := len(rounds)
	server.until("clients come and go", func() bool { return len(rounds) > before+10 })
	if err := os.WriteFile(filepath.Join(dir, "tls.key"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	server.until("the broken key is counted", func() bool { return server.metric(`halley_tls_reloads_total{result="failed"}`) == "1" })
	before = len(rounds)
	server.until("clients come and go", func() bool { return len(rounds) > before+10 })
	stop()
	load.Wait()
	if got := server.metric(`halley_tls_reloads_total{result="ok"}`); got != "1" {
		t.Errorf("%s reloads", got)
	}
	if !strings.Contains(server.stderr.String(), "changed files cannot be used") {
		t.Errorf("not a word of the broken key: %s", server.stderr)
	}
}

func TestCloudOverTLS(t *testing.T) {
	authority := tlstest.New(t)
	a := member(t, "a", secured(t, authority, t.TempDir())...)
	b := member(t, "b", append(secured(t, authority, t.TempDir()), "--join", a.Gossip)...)
	for _, m := range []*served{a, b} {
		m.until("the links stand", func() bool { return m.metric(`halley_oort_links{state="joined"}`) == "1" })
	}
	sub := start(t, nil, nil, "sub", "--ca-file", authority.File, a.URL, "/chat")
	a.subscribed("/chat")
	if pub := finish(t, "pub", "--ca-file", authority.File, b.URL, "/chat", "1"); pub.status != 0 {
		t.Fatal(pub.stderr)
	}
	sub.says(sub.stdout, "/chat 1\n")

	stranger := member(t, "c", append(secured(t, tlstest.New(t), t.TempDir()), "--join", a.Gossip)...)
	a.says(a.stderr, "the certificate of a comet is not trusted")
	if got := a.metric("halley_oort_peers"); got != "1" {
		t.Errorf("%s peers with a stranger about", got)
	}
	if status, _ := stranger.get("/healthz"); status != http.StatusOK {
		t.Errorf("the stranger's health is %d", status)
	}
}

func TestMistakesOfTLS(t *testing.T) {
	authority := tlstest.New(t)
	cert, key := authority.Pair(t, t.TempDir(), time.Now().Add(time.Hour))
	_, other := authority.Pair(t, t.TempDir(), time.Now().Add(time.Hour))
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"--tls-cert-file", cert}, []string{"tls-key-file: is needed beside"}},
		{[]string{"--tls-key-file", key}, []string{"tls-cert-file: is needed beside"}},
		{[]string{"--tls-cert-file", cert, "--tls-key-file", other}, []string{"--tls-cert-file: ", "does not match"}},
		{[]string{"--tls-cert-file", cert, "--tls-key-file", key, "--url", "http://127.0.0.1:1/cometd", "--oort-ca-file", key}, []string{"--url: is no https URL", "--oort-ca-file: " + key}},
	} {
		got := finish(t, append([]string{"serve", "--name", "a"}, c.args...)...)
		said := got.stderr.String()
		for _, text := range c.says {
			if got.status != 2 || !strings.Contains(said, text) {
				t.Errorf("%q: status %d, no word of %q: %s", c.args, got.status, text, said)
			}
		}
	}
}
