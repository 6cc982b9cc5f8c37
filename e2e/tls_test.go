package e2e

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/tlsfiles"
	"github.com/halleycomet/halley/internal/tlstest"
)

// Comets that speak TLS, behind a balancer that does too: clients come by https and
// wss, stay with their comet, and hear each other.
func TestTLSAllTheWay(t *testing.T) {
	c, authority := cloud.New(t), tlstest.New(t)
	trust, err := tlsfiles.Client(authority.File)
	if err != nil {
		t.Fatal(err)
	}
	pair := func() (cert, key string) { return authority.Pair(t, t.TempDir(), time.Now().Add(time.Hour)) }
	comet := func(name string) *cloud.Comet {
		cert, key := pair()
		return c.Comet(name, "--tls-cert-file", cert, "--tls-key-file", key, "--oort-ca-file", authority.File)
	}
	a, b := comet("a"), comet("b")
	for _, m := range []*cloud.Comet{a, b} {
		proc.Until(t, proc.Patience, m.Name+" is linked", func() error {
			if m.Counter("halley_oort_links", `state="joined"`) != 1 {
				return errors.New("not yet")
			}
			return nil
		})
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure := free.Addr().String()
	free.Close()
	cert, key := pair()
	front := c.Balancer("front", "--tls-listen", secure, "--tls-cert", cert, "--tls-key", key, "--comet-ca", authority.File)
	url := "https://" + secure + cloud.Path

	for _, transport := range []client.Transport{client.WebSocket, client.LongPolling} {
		t.Run(string(transport), func(t *testing.T) {
			ann := come(t, url, trust, transport, token(t, time.Now().Add(time.Hour), jwt.MapClaims{}))
			bob := come(t, url, trust, transport, token(t, time.Now().Add(time.Hour), jwt.MapClaims{}))
			next(t, "ann is in", ann.in)
			next(t, "bob is in", bob.in)
			if err := ann.Subscribe(t.Context(), "/room"); err != nil {
				t.Fatal(err)
			}
			unknown := a.Unknown() + b.Unknown()
			proc.Until(t, proc.Patience, "ann hears bob, wherever he is", func() error {
				if err := bob.Publish(t.Context(), "/room", `"hi"`); err != nil {
					return err
				}
				select {
				case got := <-ann.heard:
					if got != `/room "hi"` {
						t.Errorf("ann hears %s", got)
					}
					return nil
				default:
					return errors.New("not yet")
				}
			})
			for range 20 {
				if err := ann.Publish(t.Context(), "/elsewhere", "1"); err != nil {
					t.Fatal(err)
				}
			}
			if now := a.Unknown() + b.Unknown(); now != unknown {
				t.Errorf("%v messages went astray", now-unknown)
			}
		})
	}
	if one, other := a.Handshakes(), b.Handshakes(); one == 0 || other == 0 {
		t.Errorf("%v and %v handshakes: the balancer used one comet only", one, other)
	}
	if got := front.Counter("halley_balancer_tls_handshakes_total", `result="ok"`); got < 4 {
		t.Errorf("%v handshakes", got)
	}
}
