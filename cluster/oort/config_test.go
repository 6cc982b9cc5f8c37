package oort

import (
	"strings"
	"testing"
	"time"
)

func testConfig() Config {
	cfg := DefaultConfig()
	cfg.URL, cfg.Secret = urlA, "s"
	return cfg
}

func TestDefaultConfigNeedsURLAndSecret(t *testing.T) {
	cfg := testConfig()
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	cfg = DefaultConfig()
	err := cfg.Validate()
	if err == nil || !strings.Contains(err.Error(), "URL: ") || !strings.Contains(err.Error(), "Secret: ") {
		t.Errorf("got %v", err)
	}
}

func TestValidateReportsAll(t *testing.T) {
	cfg := Config{
		URL:      "ftp://h/x",
		Aliases:  []string{"http://"},
		Static:   []string{"http://u@h/x"},
		Channels: []string{"nothing", "/service/x", "/oort/x", "/ok/**"},
		MaxLinks: 0, MaxBackoff: -time.Second,
	}
	err := cfg.Validate()
	if err == nil {
		t.Fatal("no mistake found")
	}
	for _, want := range []string{
		"URL: ", "Aliases: ", "Static: ", `Channels: "nothing"`, `Channels: "/service/x"`, `Channels: "/oort/x"`,
		"Secret: ", "MaxLinks: ", "ConfirmTimeout: ", "JoinRetry: ", "MaxNetworkDelay: ", "MinBackoff: ", "MaxBackoff: ", "ForgetAfter: ", "LeaveTimeout: ", "Log: ",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "/ok/**") {
		t.Errorf("a good channel is called wrong:\n%v", err)
	}
}

func TestCheckURL(t *testing.T) {
	for u, good := range map[string]bool{
		urlA: true, "https://h/cometd": true, "ws://h:1/x": true, "wss://[::1]:1/x": true, "http://h": true,
		"": false, "/cometd": false, "h:80/cometd": false, "http:///x": false, "http://:80/x": false,
		"gopher://h/x": false, "http://h/x?y": false, "http://h/x?": false, "http://h/x#y": false,
		"http://a:b@h/x": false, "http://h/\x00": false,
		"http://h/" + strings.Repeat("x", maxURLLen): false,
	} {
		if err := checkURL(u); (err == nil) != good {
			t.Errorf("%q: %v", u, err)
		}
	}
}
