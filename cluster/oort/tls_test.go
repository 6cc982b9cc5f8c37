package oort_test

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/halleycomet/halley/cluster/oort"
	"github.com/halleycomet/halley/internal/tlsfiles"
	"github.com/halleycomet/halley/internal/tlstest"
)

// secure is a plan for comets that trust each other's certificates by an authority.
func secure(t *testing.T, m oort.Members, of, trusted *tlstest.Authority, log *zap.Logger) plan {
	t.Helper()
	pair, err := tlsfiles.Load(of.Pair(t, t.TempDir(), time.Now().Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	return plan{members: m, tls: pair.Server(), change: func(cfg *oort.Config) {
		if cfg.TLS, err = tlsfiles.Client(trusted.File); err != nil {
			t.Fatal(err)
		}
		cfg.Log = log
	}}
}

func TestLinksOverTLS(t *testing.T) {
	authority, m := tlstest.New(t), newMembers()
	a := start(t, secure(t, m, authority, authority, zap.NewNop()))
	b := start(t, secure(t, m, authority, authority, zap.NewNop()))
	m.set(a, b)
	mesh(t, a, b)
	sub, pub := a.user(t), b.user(t)
	sub.subscribe("/news")
	pub.publish("/news", `"hello"`)
	sub.gets(`/news "hello"`)
}

// A comet whose certificate comes from elsewhere gets no link, and the log says why,
// once, though gossip and not the configuration named it.
func TestUntrustedComet(t *testing.T) {
	ours, theirs, m := tlstest.New(t), tlstest.New(t), newMembers()
	core, said := observer.New(zap.WarnLevel)
	a := start(t, secure(t, m, ours, ours, zap.New(core)))
	b := start(t, secure(t, m, theirs, ours, zap.NewNop()))
	m.set(a, b)
	refusals := func() (lines []string) {
		for _, e := range said.All() {
			if e.ContextMap()["url"] == b.url {
				lines = append(lines, e.Message+": "+e.ContextMap()["error"].(string))
			}
		}
		return lines
	}
	eventually(t, func() bool { return len(refusals()) > 0 }, func() string { return "not a word of it" })
	if a.joined(b) || b.joined(a) {
		t.Error("joined all the same")
	}
	b.stop()
	if got := refusals(); len(got) != 1 || !strings.Contains(got[0], "certificate of a comet is not trusted") || !strings.Contains(got[0], "x509: ") {
		t.Errorf("says %q", got)
	}
}
