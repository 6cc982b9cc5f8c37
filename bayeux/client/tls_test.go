package client

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// secureFake is a fake behind https, on a real socket and in real time.
func secureFake(t *testing.T) (f *fake, srv *httptest.Server) {
	t.Helper()
	f = newFake(t)
	srv = httptest.NewUnstartedServer(f)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of refused handshakes
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return f, srv
}

func TestTLS(t *testing.T) {
	for _, transport := range []Transport{WebSocket, LongPolling} {
		for _, scheme := range []string{"https", "wss"} {
			t.Run(string(transport)+" "+scheme, func(t *testing.T) {
				f, srv := secureFake(t)
				roots := x509.NewCertPool()
				roots.AddCert(srv.Certificate())
				connected := make(chan struct{}, 1)
				f.run(func(c *Config, _ *app) {
					c.URL = strings.Replace(srv.URL, "https", scheme, 1)
					c.Dial, c.TLS, c.Transports = nil, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, []Transport{transport}
					c.OnConnect = func() { connected <- struct{}{} }
				})
				select {
				case <-connected:
				case <-time.After(10 * time.Second):
					t.Fatalf("no connection: %q", f.log())
				}
				if want := string(transport) + " " + bayeux.MetaConnect; !strings.Contains(strings.Join(f.log(), "\n"), want) {
					t.Errorf("the server saw %q", f.log())
				}
			})
		}
	}
}

// A certificate that is not trusted says nothing of WebSockets, and leads to no
// request.
func TestUntrustedCertificateIsTriedOnWithWebSocket(t *testing.T) {
	f, srv := secureFake(t)
	retries := make(chan error, 16)
	f.run(func(c *Config, _ *app) {
		c.URL = strings.Replace(srv.URL, "127.0.0.1", "localhost", 1) // TestMain trusts it for other names
		c.Dial, c.BackoffMin, c.BackoffMax = nil, time.Millisecond, time.Millisecond
		c.OnRetry = func(err error) {
			select {
			case retries <- err:
			default:
			}
		}
	})
	for range 3 {
		select {
		case err := <-retries:
			if !IsCertificateError(err) || !strings.HasPrefix(err.Error(), "open WebSocket: ") {
				t.Errorf("%v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no retry")
		}
	}
	if seen := f.log(); len(seen) > 0 {
		t.Errorf("the server saw %q", seen)
	}
}
