package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/tlsfiles"
	"github.com/halleycomet/halley/internal/tlstest"
)

const rulesOfRooms = `
rules:
  - channel: /room/**
    allow: [subscribe, publish]
    claims: [{name: rooms, contains: main}]
  - channel: /user/{sub}/**
    allow: [subscribe]
  - channel: /user/**
    allow: [publish]
    claims: [{name: role, equals: staff}]
`

// secret signs the tokens.
const secret = "0123456789abcdef0123456789abcdef"

// bearer is somebody with a token, in a session at a comet.
type bearer struct {
	*client.Client
	t     *testing.T
	heard chan string
	in    chan struct{}
	lost  chan error
	ended chan error
}

func token(t *testing.T, until time.Time, claims jwt.MapClaims) string {
	t.Helper()
	claims["exp"] = until.Unix()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// come handshakes with what tokens returns, in the ext over WebSocket and in the
// header over long-polling.
func come(t *testing.T, url string, trust *tls.Config, transport client.Transport, token string) *bearer {
	t.Helper()
	b := &bearer{t: t, heard: make(chan string, 16), in: make(chan struct{}, 16), lost: make(chan error, 16), ended: make(chan error, 1)}
	cfg := client.DefaultConfig(url)
	cfg.TLS, cfg.Transports = trust, []client.Transport{transport}
	if transport == client.WebSocket {
		cfg.HandshakeExt = func() bayeux.RawJSON { return bayeux.RawJSON(`{"token":"` + token + `"}`) }
	} else {
		cfg.Header = http.Header{"Authorization": {"Bearer " + token}}
	}
	cfg.OnHandshake = func(client.Reply) { b.in <- struct{}{} }
	cfg.OnDisconnect = func(err error) { b.lost <- err }
	cfg.OnMessage = func(m *bayeux.Message) { b.heard <- m.Channel + " " + string(m.Data) }
	var err error
	if b.Client, err = client.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		b.ended <- b.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-stopped })
	return b
}

func next[T any](t *testing.T, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(proc.Patience):
		t.Fatalf("not within %v: %s", proc.Patience, what)
	}
	return v
}

// Two comets that speak TLS, to their clients and to each other, ask for tokens and
// hold to rules, over both transports and across the link.
func TestTokensRulesAndTLS(t *testing.T) {
	c, authority := cloud.New(t), tlstest.New(t)
	trust, err := tlsfiles.Client(authority.File)
	if err != nil {
		t.Fatal(err)
	}
	flags := func() []string {
		cert, key := authority.Pair(t, t.TempDir(), time.Now().Add(time.Hour))
		return []string{"--tls-cert-file", cert, "--tls-key-file", key, "--oort-ca-file", authority.File,
			"--jwt-secret-file", c.File("secret", secret+"\n"), "--jwt-leeway", "0", "--rules-file", c.File("rules.yaml", rulesOfRooms)}
	}
	a, b := c.Comet("a", flags()...), c.Comet("b", flags()...)
	for _, m := range []*cloud.Comet{a, b} {
		proc.Until(t, proc.Patience, m.Name+" is linked", func() error {
			if m.Counter("halley_oort_links", `state="joined"`) != 1 {
				return errors.New("not yet")
			}
			return nil
		})
	}
	ctx, far := t.Context(), time.Now().Add(time.Hour)
	secure := func(m *cloud.Comet) string { return strings.Replace(m.URL(), "http:", "https:", 1) }
	for _, transport := range []client.Transport{client.WebSocket, client.LongPolling} {
		t.Run(string(transport), func(t *testing.T) {
			ann := come(t, secure(a), trust, transport, token(t, far, jwt.MapClaims{"sub": "ann", "rooms": []string{"main"}}))
			bob := come(t, secure(b), trust, transport, token(t, far, jwt.MapClaims{"sub": "bob", "role": "staff", "rooms": []string{"main"}}))
			next(t, "ann is in", ann.in)
			next(t, "bob is in", bob.in)
			for channel, want := range map[string]bayeux.Error{
				"/room/main": "", "/user/ann/*": "",
				"/user/bob/*": "403:denied_by_not_granting:subscribe_denied", "/**": "403:denied_by_not_granting:subscribe_denied",
			} {
				if err := ann.Subscribe(ctx, channel); want == "" && err != nil || want != "" && !errors.Is(err, client.Refused(want)) {
					t.Errorf("ann subscribes to %s: %v", channel, err)
				}
			}
			if err := ann.Publish(ctx, "/user/bob/x", "1"); !errors.Is(err, client.Refused("403:denied_by_not_granting:publish_denied")) {
				t.Errorf("ann publishes as if she were of the staff: %v", err)
			}
			if err := bob.Publish(ctx, "/user/ann/x", `"psst"`); err != nil {
				t.Error(err)
			}
			if err := bob.Publish(ctx, "/room/main", `"all"`); err != nil {
				t.Error(err)
			}
			for _, want := range []string{`/user/ann/x "psst"`, `/room/main "all"`} {
				if got := next(t, "ann hears "+want, ann.heard); got != want {
					t.Errorf("ann hears %s, not %s", got, want)
				}
			}
			// Who comes with a token that is over, or with another's signature, is refused.
			for name, text := range map[string]string{
				"expired": token(t, time.Now().Add(-time.Minute), jwt.MapClaims{"sub": "eve"}),
				"forged":  token(t, far, jwt.MapClaims{"sub": "eve"}) + "x",
				"none":    "",
			} {
				eve := come(t, secure(a), trust, transport, text)
				if err := next(t, name+" is refused", eve.ended); !errors.Is(err, client.Refused(bayeux.ErrorHandshakeDenied)) || !errors.Is(err, client.ErrAdvisedNone) {
					t.Errorf("%s: %v", name, err)
				}
			}
			// Whose token ends while he is here is told to come again, and is then refused.
			dan := come(t, secure(a), trust, transport, token(t, time.Now().Add(2*time.Second), jwt.MapClaims{"sub": "dan"}))
			next(t, "dan is in", dan.in)
			if err := next(t, "dan's session ends", dan.lost); !errors.Is(err, client.Refused(bayeux.ErrorSessionUnknown)) {
				t.Errorf("dan's session: %v", err)
			}
			if err := next(t, "dan is refused", dan.ended); !errors.Is(err, client.Refused(bayeux.ErrorHandshakeDenied)) {
				t.Errorf("dan: %v", err)
			}
		})
	}
	for label, want := range map[string]float64{`reason="expired"`: 4, `reason="missing"`: 2} {
		if got := a.Counter("halley_comet_access_refused_handshakes_total", label); got != want {
			t.Errorf("%v handshakes refused with %s, want %v", got, label, want)
		}
	}
	// A stranger who does not trust the authority gets nowhere, and neither comet is
	// disturbed by what is no TLS at all.
	stranger := client.DefaultConfig(secure(a))
	untrusted := make(chan error, 1)
	stranger.OnRetry = func(err error) {
		select {
		case untrusted <- err:
		default:
		}
	}
	lost, err := client.New(stranger)
	if err != nil {
		t.Fatal(err)
	}
	strange, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- lost.Run(strange) }()
	if err := next(t, "the certificate is looked at", untrusted); !client.IsCertificateError(err) {
		t.Errorf("a stranger fails with %v", err)
	}
	stop()
	<-ended
	if resp, err := http.Get(a.URL()); err == nil { //nolint:noctx // it fails at once
		resp.Body.Close()
		t.Errorf("plain HTTP is answered: %s", resp.Status)
	}
	for _, m := range []*cloud.Comet{a, b} {
		if code := m.Stop(proc.Patience); code != 0 {
			t.Errorf("%s ended with %d", m.Name, code)
		}
	}
}
