package balancer

import (
	"strings"
	"testing"

	"github.com/halleycomet/halley/bayeux"
)

func TestDefaultConfigIsValid(t *testing.T) {
	c := DefaultConfig()
	c.Comets = []string{"http://a", "http://b:8081/"}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

// All mistakes are reported at once, each with the name of its setting.
func TestValidateNamesAll(t *testing.T) {
	c := DefaultConfig()
	c.Path = "cometd/"
	c.Comets = []string{"http://A.example", "http://a.example:80", "ftp://b", "http://c/cometd", "10.0.0.1:80"}
	c.Place = "random"
	c.Keys = Keys{}
	c.TrustedProxies = []string{"here"}
	c.Origins = []string{"nowhere"}
	c.CheckInterval, c.RecheckInterval, c.CheckTimeout = 0, -1, 0
	c.Fall, c.Rise, c.HandshakeRate = 0, -1, 0
	c.Cookie = bayeux.Cookie{Name: "a b", Domain: "a;b", Path: "x", SameSite: "none", Partitioned: true}
	err := c.Validate()
	if err == nil {
		t.Fatal("valid")
	}
	for _, want := range []string{
		"path:", `"http://a.example:80": is listed twice`, `"ftp://b": has scheme`, `"10.0.0.1:80": is no URL like http://host:port`, `"http://c/cometd": has a path`, "place:", "keys:",
		"trusted-proxies:", "origins:", "check-interval:", "recheck-interval:", "check-timeout:", "fall:", "rise:", "handshake-rate:",
		"browser-cookie-name:", "browser-cookie-domain:", "browser-cookie-path:", "browser-cookie-same-site:", "browser-cookie-partitioned:",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing in:\n%v", want, err)
		}
	}
	c = DefaultConfig()
	c.Place, c.Keys = PlaceIP, Keys{Cookie: true}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "place:") {
		t.Errorf("place ip without the key: %v", err)
	}
}

// One backend has one name, however it is written.
func TestParseCometURL(t *testing.T) {
	for raw, want := range map[string]string{
		"http://a.example":          "http://a.example:80",
		"HTTP://A.Example:80/":      "http://a.example:80",
		"http://127.0.0.1:8081":     "http://127.0.0.1:8081",
		"http://[::1]":              "http://[::1]:80",
		"http://a.example:0":        "",
		"http://a.example:x":        "",
		"http://":                   "",
		"a.example:80":              "",
		"http://u:p@a.example":      "",
		"http://a.example/?x":       "",
		"http://a.example/cometd":   "",
		"https://a.example":         "https://a.example:443",
		"WSS://A.example/cometd/":   "",
		"ftp://a.example":           "",
		"http://a.example:80 ":      "",
		"http://a.example:99999999": "",
	} {
		u, err := parseCometURL(raw)
		if (err != nil) != (want == "") || u.name != want {
			t.Errorf("%q: %q, %v; want %q", raw, u.name, err, want)
		}
	}
}
