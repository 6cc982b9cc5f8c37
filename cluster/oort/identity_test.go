package oort

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/halleycomet/halley/bayeux"
)

const (
	urlA = "http://127.0.0.1:9101/cometd"
	urlB = "http://127.0.0.1:9102/cometd"
	urlC = "http://127.0.0.1:9103/cometd"
)

// printf oort_secret | openssl dgst -sha512 -binary | base64 -w0
const encodedOortSecret = "RDbwKAgWlB4R3AHw7+NdeV9Mf2q+TCHvPIz6hb5/dC4UqerOhBWVql2E4lVZ/2YzyYElc06U/Nzr/eru9XIi9w=="

func TestIdentityOnTheWire(t *testing.T) {
	me := identity{url: urlA, id: "id-a", secret: "c2VjcmV0"}
	if got, want := string(me.request(urlB, "")), `{"org.cometd.oort":{"oortURL":"`+urlA+`","oortId":"id-a","oortSecret":"c2VjcmV0","cometURL":"`+urlB+`"}}`; got != want {
		t.Errorf("request %s\nwant    %s", got, want)
	}
	if got := string(me.request(urlB, urlC)); !strings.Contains(got, `"oortAliasURL":"`+urlC+`"`) {
		t.Errorf("no alias in %s", got)
	}
	if got, want := string(me.reply()), `{"oortURL":"`+urlA+`","oortId":"id-a"}`; got != want {
		t.Errorf("reply %s\nwant  %s", got, want)
	}
	if got, want := string(me.join()), `{"oortId":"id-a","oortURL":"`+urlA+`"}`; got != want {
		t.Errorf("join %s\nwant %s", got, want)
	}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	if a, b := newUUID(), newUUID(); !uuid.MatchString(a) || a == b {
		t.Errorf("UUIDs %q and %q", a, b)
	}
}

func TestEncodeSecret(t *testing.T) {
	if got := encodeSecret("oort_secret"); got != encodedOortSecret || len(got) != 88 {
		t.Errorf("encodeSecret = %q, want %q", got, encodedOortSecret)
	}
}

func TestJudge(t *testing.T) {
	me := identity{url: urlA, aliases: []string{"http://a.example/cometd"}, id: "id-a", secret: encodeSecret("s")}
	good := handshakeExt{URL: urlB, ID: "id-b", Secret: encodeSecret("s"), CometURL: urlA}
	tests := []struct {
		name   string
		change func(*handshakeExt)
		want   Refusal
	}{
		{"as it should be", func(*handshakeExt) {}, ""},
		{"under an alias", func(e *handshakeExt) { e.CometURL = "http://a.example/cometd" }, ""},
		{"connecting back", func(e *handshakeExt) { e.AliasURL = "http://b.example/cometd" }, ""},
		{"no secret", func(e *handshakeExt) { e.Secret = "" }, RefusedSecret},
		{"another secret", func(e *handshakeExt) { e.Secret = encodeSecret("t") }, RefusedSecret},
		{"the secret in clear", func(e *handshakeExt) { e.Secret = "s" }, RefusedSecret},
		{"the secret and more", func(e *handshakeExt) { e.Secret += "=" }, RefusedSecret},
		{"another secret, and all else wrong", func(e *handshakeExt) { *e = handshakeExt{ID: "id-a"} }, RefusedSecret},
		{"no id", func(e *handshakeExt) { e.ID = "" }, RefusedMalformed},
		{"endless id", func(e *handshakeExt) { e.ID = strings.Repeat("x", maxIDLen+1) }, RefusedMalformed},
		{"itself", func(e *handshakeExt) { e.ID = "id-a" }, RefusedSelf},
		{"itself under an unknown name", func(e *handshakeExt) { e.ID, e.CometURL = "id-a", urlC }, RefusedSelf},
		{"our URL for its own", func(e *handshakeExt) { e.URL = urlA }, RefusedSelf},
		{"to somebody else", func(e *handshakeExt) { e.CometURL = urlC }, RefusedCometURL},
		{"to us, with a slash", func(e *handshakeExt) { e.CometURL = urlA + "/" }, RefusedCometURL},
		{"to nobody", func(e *handshakeExt) { e.CometURL = "" }, RefusedCometURL},
		{"of no URL", func(e *handshakeExt) { e.URL = "" }, RefusedURL},
		{"of a file", func(e *handshakeExt) { e.URL = "file:///etc/passwd" }, RefusedURL},
	}
	for _, tt := range tests {
		ext := good
		tt.change(&ext)
		if got := me.judge(&ext); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestParseExt(t *testing.T) {
	ext, ok := parseExt(` {"oortURL":"u","oortId":7,"other":{"oortId":"x"},"cometURL":"c"}`)
	if want := (handshakeExt{URL: "u", CometURL: "c"}); !ok || ext != want {
		t.Errorf("got %+v, %v", ext, ok)
	}
	for _, raw := range []bayeux.RawJSON{"", "null", `"x"`, "[1]", "true"} {
		if _, ok := parseExt(raw); ok {
			t.Errorf("%q was taken for an object", raw)
		}
	}
	// What is written can be read.
	me := identity{url: `http://h/"<&`, id: "i", secret: "s"}
	var back map[string]handshakeExt
	if err := json.Unmarshal([]byte(me.request(urlB, urlC)), &back); err != nil {
		t.Fatal(err)
	}
	if got, want := back[ExtKey], (handshakeExt{URL: me.url, ID: "i", Secret: "s", CometURL: urlB, AliasURL: urlC}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
