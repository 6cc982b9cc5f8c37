package balancer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/halleycomet/halley/internal/sticky"
	"github.com/halleycomet/halley/internal/tlstest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// serverTLS is that of a comet, for 127.0.0.1 and localhost.
func serverTLS(t *testing.T, authority *tlstest.Authority) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(authority.Pair(t, t.TempDir(), time.Now().Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

func newSecureComet(t *testing.T, name string, cfg *tls.Config, handler http.HandlerFunc) *fakeComet {
	t.Helper()
	c := &fakeComet{t: t, name: name, tls: cfg, tag: sticky.NewTag()}
	c.serve(handler)
	c.start("127.0.0.1:0")
	t.Cleanup(c.kill)
	return c
}

func TestCometsOverTLS(t *testing.T) {
	authority := tlstest.New(t)
	serve := func(w http.ResponseWriter, r *http.Request) {
		if websocket.IsWebSocketUpgrade(r) {
			echoSocket(w, r)
			return
		}
		if r.URL.Path == "/page" {
			body, _ := io.ReadAll(r.Body)
			w.Write(body)
			return
		}
		ok(w, r)
	}
	gossiped := newSecureComet(t, "a", serverTLS(t, authority), serve)
	listed := newSecureComet(t, "b", serverTLS(t, authority), serve)
	cfg := quick()
	cfg.CometTLS.CAFile = authority.File
	cfg.Comets = []string{listed.url()}
	b := run(t, cfg, gossipOf(gossiped))
	for _, c := range []*fakeComet{gossiped, listed} {
		b.untilState(c, Healthy)
	}
	for range 5 {
		if r := b.post(publish("1", gossiped.clientID())).one(t); r.failed() {
			t.Errorf("%+v", r)
		}
	}
	if n := b.comet(gossiped).up.conns(); n != 1 {
		t.Errorf("%d connections for one request after the other", n)
	}
	long := strings.Repeat("x", 1_000_000)
	if got, err := b.do(http.MethodPost, "/page", long); err != nil || got.body != long {
		t.Errorf("a long body: %d bytes, %v", len(got.body), err)
	}
	ws := b.dial("/cometd")
	for _, text := range []string{"hello", strings.Repeat("long ", 50_000), "again"} {
		if err := echoes(ws, text); err != nil {
			t.Errorf("%.10s: %v", text, err)
		}
	}
	gossiped.kill()
	if r := b.post(connect("1", gossiped.clientID())).one(t); r.Error != "402::session_unknown" {
		t.Errorf("after its comet was killed: %+v", r)
	}
}

// A comet that cannot show who it is gets nothing, and the log says why.
func TestCometsAreVerified(t *testing.T) {
	authority, other := tlstest.New(t), tlstest.New(t)
	pool := func(a *tlstest.Authority) *x509.CertPool {
		p := x509.NewCertPool()
		pem, err := os.ReadFile(a.File)
		if err != nil {
			t.Fatal(err)
		}
		p.AppendCertsFromPEM(pem)
		return p
	}
	asking := serverTLS(t, authority)
	asking.ClientAuth, asking.ClientCAs = tls.RequireAndVerifyClientCert, pool(authority)
	old := serverTLS(t, authority)
	old.MaxVersion = tls.VersionTLS11
	cert, key := authority.Named(t, t.TempDir(), "client", pkix.Name{CommonName: "balancer"}, time.Now().Add(time.Hour))
	for _, tc := range []struct {
		name   string
		server *tls.Config
		change func(*CometTLS)
		says   string // in the log; empty: it is healthy
	}{
		{"trusted", serverTLS(t, authority), func(*CometTLS) {}, ""},
		{"signed by others", serverTLS(t, other), func(*CometTLS) {}, "unknown authority"},
		{"signed by others, insecure", serverTLS(t, other), func(c *CometTLS) { c.CAFile, c.Insecure = "", true }, ""},
		{"the system's authorities", serverTLS(t, authority), func(c *CometTLS) { c.CAFile = "" }, "unknown authority"},
		{"under its other name", serverTLS(t, authority), func(c *CometTLS) { c.ServerName = "localhost" }, ""},
		{"under a wrong name", serverTLS(t, authority), func(c *CometTLS) { c.ServerName = "comet.example" }, "not comet.example"},
		{"asks for a certificate, and gets one", asking, func(c *CometTLS) { c.CertFile, c.KeyFile = cert, key }, ""},
		{"asks for a certificate, and gets none", asking, func(*CometTLS) {}, "certificate required"},
		{"speaks an old version", old, func(*CometTLS) {}, "protocol version"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newSecureComet(t, "a", tc.server, ok)
			core, logs := observer.New(zap.InfoLevel)
			cfg := quick()
			cfg.Log = zap.New(core)
			cfg.CometTLS.CAFile = authority.File
			tc.change(&cfg.CometTLS)
			b := listing(t, cfg, c)
			answered := b.post(publish("1", "foreign"))
			if tc.says == "" {
				if r := answered.one(t); r.failed() {
					t.Errorf("%+v", r)
				}
			} else if c.requests() > 0 {
				t.Error("it was sent a request")
			} else if all := texts(logs); !strings.Contains(all, tc.says) {
				t.Errorf("the log says nothing of %q:\n%s", tc.says, all)
			}
			if warned := strings.Contains(texts(logs), "not verified"); warned != cfg.CometTLS.Insecure {
				t.Errorf("a warning that nobody is verified: %v", warned)
			}
		})
	}
}

func texts(logs *observer.ObservedLogs) string {
	var all strings.Builder
	for _, e := range logs.All() {
		all.WriteString(e.Message)
		for _, f := range e.Context {
			if err, is := f.Interface.(error); is {
				all.WriteString(" " + err.Error())
			}
		}
		all.WriteString("\n")
	}
	return all.String()
}

// How far a handshake came that failed: a comet is gone only when its dial is refused.
func TestStageOfFailedHandshake(t *testing.T) {
	authority := tlstest.New(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	behaviours := make(chan func(net.Conn), 1)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			(<-behaviours)(conn)
		}
	}()
	cfg := quick()
	cfg.CometTLS.CAFile = authority.File
	u := newUpstream(ln.Addr().String(), liveOf(t, cfg))
	u.certName = "127.0.0.1"
	stranger := serverTLS(t, tlstest.New(t))
	held := make(chan net.Conn, 1)
	for _, tc := range []struct {
		name  string
		does  func(net.Conn)
		stage stage
	}{
		{"closes", func(c net.Conn) { c.Close() }, stageUnreachable},
		{"resets", reset, stageUnreachable},
		{"says nothing", func(c net.Conn) { held <- c }, stageDialTimeout},
		{"speaks HTTP", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); c.Close() }, stageUnreachable},
		{"is not trusted", func(c net.Conn) { s := tls.Server(c, stranger); s.HandshakeContext(context.Background()); s.Close() }, stageUnreachable},
	} {
		behaviours <- tc.does
		began := time.Now()
		_, fail := u.get(origin{}, true, 300*time.Millisecond)
		if fail == nil || fail.stage != tc.stage {
			t.Errorf("%s: %v, want %v", tc.name, fail, tc.stage)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: took %v", tc.name, took)
		}
		if n := u.conns(); n != 0 {
			t.Errorf("%s: %d connections are counted", tc.name, n)
		}
	}
	(<-held).Close()
	ln.Close()
	if _, fail := u.get(origin{}, true, time.Second); fail == nil || fail.stage != stageRefused {
		t.Errorf("nobody listens: %v", fail)
	}
}
