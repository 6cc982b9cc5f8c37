package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// settingsOf reads the names and defaults out of an example file.
func settingsOf(example string) map[string]string {
	settings := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^#?([a-z0-9-]+): (.*)$`).FindAllStringSubmatch(example, -1) {
		settings[m[1]] = strings.Trim(m[2], `"`)
	}
	return settings
}

// The tables of docs/options.md name settings that exist, with their defaults, and
// leave out none of those that stand beside CometD's.
func TestOptionsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/options.md")
	if err != nil {
		t.Fatal(err)
	}
	settings := settingsOf(finish(t, "config", "--example").stdout.String())
	documented := make(map[string]bool)
	column := -1 // of our name; the default stands behind it
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		switch cells[0] {
		case "CometD":
			column = 1
		case "ours":
			column = 0
		case "what":
			column = -1
		}
		if column < 0 || !strings.HasPrefix(line, "| `") || cells[column] == "none" {
			continue
		}
		name, preset := strings.Trim(cells[column], "`"), strings.Trim(cells[column+1], "`")
		want, exists := settings[name]
		if want == "" || want == "[]" {
			want = "none"
		}
		if !exists || preset != want {
			t.Errorf("%s: the table says %q, the program %q (a setting: %v)", name, preset, want, exists)
		}
		documented[name] = true
	}
	for name := range settings {
		cometd := strings.HasPrefix(name, "browser-cookie-") || strings.HasPrefix(name, "ws-") || strings.HasPrefix(name, "max-")
		if cometd && !documented[name] {
			t.Errorf("%s is not in the tables", name)
		}
	}
}

// A configuration of CometD's, spelled as there, is understood.
func TestCometDSpelling(t *testing.T) {
	file := filepath.Join(t.TempDir(), "comet.yaml")
	const text = `name: a
allowedTransports: [websocket, long-polling]
sweepPeriod: 997
validateMessageFields: true
broadcastToPublisher: false
timeout: 20000
interval: 0
maxInterval: 15000
maxProcessing: -1
maxLazyTimeout: 5000
metaConnectDeliverOnly: true
maxQueue: 1000
handshakeReconnect: true
allowMessageDeliveryDuringHandshake: true
maxMessageSize: 65536
browserCookieName: BAYEUX_BROWSER
browserCookieDomain: a.example
browserCookiePath: /
browserCookieMaxAge: 3600
browserCookieSecure: true
browserCookieHttpOnly: true
browserCookieSameSite: None
browserCookiePartitioned: true
maxSessionsPerBrowser: -1
multiSessionInterval: -1
trustClientSession: false
duplicateMetaConnectHttpResponseCode: 409
callbackParameter: jsonp
callbackParameterMaxLength: 64
ws.protocol: bayeux
ws.messagesPerFrame: 0
ws.idleTimeout: 600000
ws.requireHandshakePerConnection: true
ws.enableExtension.permessage-deflate: false
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := finish(t, "config", "--check", file); got.status != 0 {
		t.Error(got.stderr)
	}
}
