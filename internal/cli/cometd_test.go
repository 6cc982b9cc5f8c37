package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSpelled(t *testing.T) {
	for key, want := range map[string]string{
		"timeout": "timeout", "max-interval": "max-interval", "maxInterval": "max-interval", "ws.idleTimeout": "ws-idle-timeout",
		"ws.enableExtension.permessage-deflate": "ws-enable-extension-permessage-deflate",
		"duplicateMetaConnectHttpResponseCode":  "duplicate-meta-connect-http-response-code",
		"browserCookieHttpOnly":                 "browser-cookie-http-only",
		"http2MaxSessionsPerBrowser":            "http2-max-sessions-per-browser",
		"oort.url":                              "url",
		"oort.cloud":                            "oort",
		"oort.secret":                           "oort-secret",
		"oort-url":                              "oort-url",
		"":                                      "",
	} {
		if got := spelled(key); got != want {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
}

// The file takes CometD's spelling, with bare milliseconds, and the two spellings of
// one setting are one key.
func TestFileTakesCometDSpelling(t *testing.T) {
	var s Settings
	interval, idle, deflate := time.Second, time.Second, true
	s.Duration(&interval, "max-interval", "A time.")
	s.Duration(&idle, "ws-idle-timeout", "A time.")
	s.Bool(&deflate, "ws-enable-extension-permessage-deflate", "A switch.")
	path := filepath.Join(t.TempDir(), "halley.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func() error {
		_, err := s.load(source{args: []string{"--config", path}, env: func(string) (string, bool) { return "", false }, file: true})
		return err
	}
	write("maxInterval: 15000\nws.idleTimeout: 600000\nws.enableExtension.permessage-deflate: false\n")
	if err := load(); err != nil {
		t.Fatal(err)
	}
	if interval != 15*time.Second || idle != 10*time.Minute || deflate {
		t.Errorf("read %v, %v, %v", interval, idle, deflate)
	}

	s.list = s.list[:3]
	write("maxInterval: 1\nmax-interval: 2\nmaxIntervall: 3\nlong-polling.json.maxInterval: 4\njsonContext: 5\nsomething: 6\n")
	err := load()
	for _, want := range []string{
		":2: max-interval: is there already, in line 1\n",
		":3: maxIntervall: unknown setting: is max-interval meant?\n",
		":4: long-polling.json.maxInterval: unknown setting: is max-interval meant, which is for all transports?\n",
		":5: jsonContext: unknown setting: docs/options.md says what is there of CometD's options\n",
		":6: something: unknown setting\n",
	} {
		if !strings.Contains(fmt.Sprintln(err), want) {
			t.Errorf("says %v, without %q", err, want)
		}
	}
}
