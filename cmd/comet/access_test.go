package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const jwtSecret = "0123456789abcdef0123456789abcdef"

func written(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestToolsShowTokens(t *testing.T) {
	server := lone(t, "--admin", "127.0.0.1:0", "--jwt-secret-file", written(t, "secret", jwtSecret), "--jwt-issuer", "us",
		"--rules-file", written(t, "rules.yaml", "rules: [{channel: '/for/{sub}', allow: [publish, subscribe]}, {channel: '/load/**', allow: [publish, subscribe], who: authenticated}]"))
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "us", "sub": "me", "exp": time.Now().Add(time.Hour).Unix()}).SignedString([]byte(jwtSecret))
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"HALLEY_TOKEN_FILE=" + written(t, "token", token+"\n")}
	for _, transport := range []string{"websocket", "long-polling"} {
		for _, c := range []struct {
			env    []string
			args   []string
			status int
			says   string
		}{
			{env, []string{"pub", "--transport", transport, server.URL, "/for/me", "1"}, 0, ""},
			{env, []string{"pub", "--transport", transport, server.URL, "/for/you", "1"}, 1, "403:denied_by_not_granting:publish_denied"},
			{env, []string{"sub", "--transport", transport, server.URL, "/for/*"}, 1, "comet: /for/*: /meta/subscribe refused: 403:denied_by_not_granting:subscribe_denied"},
			{nil, []string{"pub", "--transport", transport, server.URL, "/for/me", "1"}, 1, "403::handshake_denied"},
			{env, []string{"health", server.URL}, 0, ""},
			{nil, []string{"health", server.URL}, 1, "403::handshake_denied"},
			{env, append(slices.Clone(shortLoad), "--transport", transport, server.URL), 0, ""},
			{nil, append(slices.Clone(shortLoad), "--transport", transport, server.URL), 1, "403::handshake_denied"},
			{nil, []string{"pub", "--token", token, server.URL, "/for/me", "1"}, 2, "a secret is no flag"},
		} {
			got := start(t, c.env, nil, c.args...)
			if status := got.wait(); status != c.status || !strings.Contains(got.stderr.String(), c.says) {
				t.Errorf("%q: status %d, says %s", c.args, status, got.stderr)
			}
			if strings.Contains(got.stderr.String(), token) {
				t.Errorf("%q shows the token", c.args)
			}
		}
	}
	if got, err := strconv.Atoi(server.metric(`halley_comet_access_refused_handshakes_total{reason="missing"}`)); err != nil || got < 6 {
		t.Errorf("%d handshakes without a token were counted", got)
	}
	if strings.Contains(server.stderr.String(), "eyJ") {
		t.Errorf("the log has a token: %s", server.stderr)
	}
}

// `config --check` finds all mistakes at once, also those in the files that are named,
// each with its setting and its line.
func TestMistakesOfAccess(t *testing.T) {
	rules := written(t, "rules.yaml", "rules:\n  - {channel: news, allow: [read], who: anyone}\n")
	path := written(t, "comet.yaml", strings.Join([]string{
		"name: a", "jwt-secret-file: " + written(t, "secret", "short"), "jwt-leeway: -1s", "jwt-algorithms: [none]",
		"jwt-fields: ['a..b']", "rules-file: " + rules, "tls-cert-file: " + filepath.Join(t.TempDir(), "missing.pem"), "oort-ca-file: " + rules,
	}, "\n"))
	got := finish(t, "config", "--check", path)
	for _, want := range []string{
		path + ":2: jwt-secret-file: ", "32 are the least", path + ":3: jwt-leeway: ", path + `:4: jwt-algorithms: "none" is none of`, path + ":5: jwt-fields: ",
		path + ":6: rules-file: " + rules + `: rule 1: channel: "news"`, path + ":6: rules-file: " + rules + `: rule 1: allow: "read"`,
		"tls-key-file: is needed", path + ":8: oort-ca-file: ",
	} {
		if !strings.Contains(got.stderr.String(), want) {
			t.Errorf("no word of %q", want)
		}
	}
	if got.status != 1 || t.Failed() {
		t.Errorf("status %d: %s", got.status, got.stderr)
	}
}
