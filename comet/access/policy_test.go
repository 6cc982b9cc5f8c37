package access

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/comet"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// guarded is a comet with a policy.
type guarded struct {
	t      *testing.T
	policy *Policy
	url    string
	logged *observer.ObservedLogs
}

func file(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func guard(t *testing.T, change func(*Config)) *guarded {
	t.Helper()
	core, logged := observer.New(zap.InfoLevel)
	cfg := DefaultConfig()
	cfg.Log = zap.New(core)
	change(&cfg)
	policy, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ccfg := comet.DefaultConfig()
	ccfg.Name = "guarded"
	server, err := comet.New(ccfg)
	if err != nil {
		t.Fatal(err)
	}
	policy.Install(server)
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 2)
	go func() { done <- server.Serve(ctx, ln) }()
	go func() { done <- policy.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	return &guarded{t: t, policy: policy, url: "http://" + ln.Addr().String() + "/cometd", logged: logged}
}

// visitor is a client and how it fared.
type visitor struct {
	*client.Client
	t          *testing.T
	handshakes chan client.Reply
	lost       chan error // OnDisconnect
	ended      chan error // of Run
}

// visit comes with an ext or a header, or neither.
func (g *guarded) visit(transport client.Transport, ext func() bayeux.RawJSON, header string) *visitor {
	g.t.Helper()
	v := &visitor{t: g.t, handshakes: make(chan client.Reply, 8), lost: make(chan error, 8), ended: make(chan error, 1)}
	cfg := client.DefaultConfig(g.url)
	cfg.Transports = []client.Transport{transport}
	cfg.HandshakeExt = ext
	if header != "" {
		cfg.Header = http.Header{"Authorization": {header}}
	}
	cfg.OnHandshake = func(r client.Reply) { v.handshakes <- r }
	cfg.OnDisconnect = func(err error) { v.lost <- err }
	var err error
	if v.Client, err = client.New(cfg); err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(g.t.Context()))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		v.ended <- v.Run(ctx)
	}()
	g.t.Cleanup(func() { cancel(); <-stopped })
	return v
}

func (v *visitor) in() {
	v.t.Helper()
	select {
	case <-v.handshakes:
	case err := <-v.ended:
		v.t.Fatalf("refused: %v", err)
	case <-time.After(patience):
		v.t.Fatal("no answer")
	}
}

// out waits for the refusal, which must be final.
func (v *visitor) out() {
	v.t.Helper()
	select {
	case <-v.handshakes:
		v.t.Error("is let in")
	case err := <-v.ended:
		if !errors.Is(err, client.ErrAdvisedNone) || !errors.Is(err, client.Refused(bayeux.ErrorHandshakeDenied)) {
			v.t.Errorf("ended with %v", err)
		}
	case <-time.After(patience):
		v.t.Error("no answer")
	}
}

func inExt(text string) func() bayeux.RawJSON {
	return func() bayeux.RawJSON { return bayeux.RawJSON(text) }
}

func token(t *testing.T, more jwt.MapClaims) string {
	t.Helper()
	return sign(t, jwt.SigningMethodES256, ecKey, withClaims(more), nil)
}

func TestWhereTokensAreFound(t *testing.T) {
	t.Parallel()
	g := guard(t, func(c *Config) { c.KeyFile = file(t, "ec.pem", ecPublic) })
	good := token(t, nil)
	bad := sign(t, jwt.SigningMethodES256, mustEC(), withClaims(nil), nil)
	for _, transport := range []client.Transport{client.WebSocket, client.LongPolling} {
		g.visit(transport, inExt(`{"token":"`+good+`"}`), "").in()
		g.visit(transport, inExt(`{"authentication":{"token":"`+good+`"}}`), "").in()
		g.visit(transport, nil, "Bearer "+good).in()
		g.visit(transport, inExt(`{"ack":true,"token":7}`), "bearer "+good).in()
		g.visit(transport, nil, "").out()
		g.visit(transport, nil, "Basic "+good).out()
		g.visit(transport, inExt(`{"jwt":"`+good+`"}`), "").out()
		g.visit(transport, inExt(`{"token":"`+bad+`"}`), "Bearer "+good).out() // what is said first counts
	}
	for why, want := range map[Denial]float64{DeniedMissing: 6, DeniedSignature: 2, DeniedExpired: 0} {
		if got := testutil.ToFloat64(g.policy.stats.denied.WithLabelValues(string(why))); got != want {
			t.Errorf("%s: %v, want %v", why, got, want)
		}
	}
	lines := g.logged.FilterMessageSnippet("refused").All()
	if n := len(lines); n == 0 || n > 7 {
		t.Errorf("%d lines of 8 refusals", n)
	}
	for _, line := range lines {
		for key, value := range line.ContextMap() {
			if text, ok := value.(string); ok && strings.Contains(text, "eyJ") {
				t.Errorf("%s of the log holds a token: %s", key, text)
			}
		}
	}
}

func TestAnonymous(t *testing.T) {
	g := guard(t, func(c *Config) { c.KeyFile, c.Anonymous = file(t, "ec.pem", ecPublic), true })
	g.visit(client.LongPolling, nil, "").in()
	g.visit(client.LongPolling, nil, "Bearer "+token(t, nil)).in()
	g.visit(client.LongPolling, nil, "Bearer "+token(t, jwt.MapClaims{"exp": now.Add(-time.Hour).Unix()})).out()
}

func TestRulesAreAsked(t *testing.T) {
	t.Parallel()
	path := file(t, "rules.yaml", []byte(exampleRules))
	g := guard(t, func(c *Config) { c.KeyFile, c.Anonymous, c.RulesFile = file(t, "ec.pem", ecPublic), true, path })
	ann := g.visit(client.WebSocket, nil, "Bearer "+token(t, nil))
	guest := g.visit(client.LongPolling, nil, "")
	ann.in()
	guest.in()
	ctx := t.Context()
	const noSubscribe, noPublish = bayeux.Error("403:denied_by_not_granting:subscribe_denied"), bayeux.Error("403:denied_by_not_granting:publish_denied")
	for _, c := range []struct {
		name string
		err  error
		want bayeux.Error
	}{
		{"her own", ann.Subscribe(ctx, "/user/ann/**"), ""},
		{"another's", ann.Subscribe(ctx, "/user/bob/**"), noSubscribe},
		{"all users", ann.Subscribe(ctx, "/user/**"), noSubscribe},
		{"everything", ann.Subscribe(ctx, "/**"), noSubscribe},
		{"news", guest.Subscribe(ctx, "/news/**"), ""},
		{"a guest's publish", guest.Publish(ctx, "/guests", "1"), ""},
		{"hers", ann.Publish(ctx, "/guests", "1"), noPublish},
		{"her own publish", ann.Publish(ctx, "/user/ann/x", "1"), ""},
		{"a service", ann.Publish(ctx, "/service/echo", "1"), ""},
		{"another service", ann.Publish(ctx, "/service/other", "1"), noPublish},
	} {
		if c.want == "" && c.err != nil || c.want != "" && !errors.Is(c.err, client.Refused(c.want)) {
			t.Errorf("%s: %v, want %q", c.name, c.err, c.want)
		}
	}
	if got := testutil.ToFloat64(g.policy.stats.forbidden.WithLabelValues(string(Subscribe), string(NoClaim))); got != 1 {
		t.Errorf("%v subscriptions counted as lacking a claim", got)
	}
	// Changed rules hold from then on.
	if err := os.WriteFile(path, []byte("rules: [{channel: /user/**, allow: [subscribe], who: authenticated}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for ann.Subscribe(ctx, "/user/bob/**") != nil {
		if time.Now().After(deadline) {
			t.Fatal("the rules are not read again")
		}
		<-time.After(50 * time.Millisecond)
	}
	if err := guest.Publish(ctx, "/guests", "1"); !errors.Is(err, client.Refused(noPublish)) {
		t.Errorf("by the new rules: %v", err)
	}
}

// When its token expires, a client is told to handshake; with a new token it is in
// again, with the old one it is refused.
func TestExpiredTokensEndSessions(t *testing.T) {
	t.Parallel()
	g := guard(t, func(c *Config) { c.KeyFile, c.Leeway = file(t, "ec.pem", ecPublic), 0 })
	for _, transport := range []client.Transport{client.WebSocket, client.LongPolling} {
		tokens := []string{token(t, jwt.MapClaims{"exp": time.Now().Add(4 * time.Second).Unix()}), token(t, nil)}
		stale := tokens[0]
		renewing := g.visit(transport, func() bayeux.RawJSON {
			next := tokens[0]
			tokens = slices.Delete(tokens, 0, 1)
			return bayeux.RawJSON(`{"token":"` + next + `"}`)
		}, "")
		keeping := g.visit(transport, inExt(`{"token":"`+stale+`"}`), "")
		renewing.in()
		keeping.in()
		for _, v := range []*visitor{renewing, keeping} {
			select {
			case err := <-v.lost:
				if !errors.Is(err, client.Refused(bayeux.ErrorSessionUnknown)) {
					t.Errorf("%s: lost with %v", transport, err)
				}
			case <-time.After(patience):
				t.Fatalf("%s: is not ended", transport)
			}
		}
		renewing.in()
		keeping.out()
		if err := renewing.Subscribe(t.Context(), "/a"); err != nil {
			t.Error(err)
		}
	}
	if got := testutil.ToFloat64(g.policy.stats.expired); got != 4 {
		t.Errorf("%v sessions ended", got)
	}
	g.policy.expiries.mu.Lock()
	defer g.policy.expiries.mu.Unlock()
	if n := len(g.policy.expiries.bySecond); n > 2 { // those that renewed
		t.Errorf("%d seconds are remembered", n)
	}
}

func TestMistakesOfTheConfiguration(t *testing.T) {
	cfg := DefaultConfig()
	cfg.KeyFile, cfg.SecretFile = file(t, "ec.pem", ecPublic), file(t, "secret", secret)
	cfg.RulesFile = file(t, "rules.yaml", []byte("rules: [{channel: a, allow: [read], who: anyone}]"))
	cfg.Algorithms, cfg.Leeway, cfg.Fields = []string{"none"}, -1, []string{"a..b"}
	err := cfg.Validate()
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{"jwt-secret-file: stands beside jwt-key-file", "jwt-algorithms: ", "jwt-leeway: ", "jwt-fields: ", "rules-file: " + cfg.RulesFile + ": rule 1: channel: ", "rules-file: " + cfg.RulesFile + ": rule 1: allow: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %q in:\n%v", want, err)
		}
	}
	cfg = DefaultConfig()
	cfg.SecretFile, cfg.Issuer = file(t, "secret", ecPublic), "us"
	if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), "jwt-secret-file: "+cfg.SecretFile) {
		t.Errorf("%v", err)
	}
	cfg.SecretFile = ""
	if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), "jwt-issuer: ") {
		t.Errorf("%v", err)
	}
}

func TestKeysAreReadAgain(t *testing.T) {
	t.Parallel()
	path := file(t, "keys.pem", ecPublic)
	g := guard(t, func(c *Config) { c.KeyFile = path })
	before := g.visit(client.LongPolling, nil, "Bearer "+token(t, nil))
	before.in()
	if err := os.WriteFile(path, rsaPublic, 0o600); err != nil {
		t.Fatal(err)
	}
	newer := sign(t, jwt.SigningMethodRS256, rsaKey, withClaims(nil), nil)
	deadline := time.Now().Add(patience)
	for {
		if _, _, why := g.policy.verifier.Load().verify(newer); why == "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the keys are not read again")
		}
		<-time.After(50 * time.Millisecond)
	}
	g.visit(client.LongPolling, nil, "Bearer "+newer).in()
	g.visit(client.LongPolling, nil, "Bearer "+token(t, nil)).out()
	if err := before.Subscribe(t.Context(), "/a"); err != nil {
		t.Errorf("the session from before: %v", err)
	}
}
