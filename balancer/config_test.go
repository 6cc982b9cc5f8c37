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
