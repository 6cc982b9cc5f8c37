package discovery

import "testing"

// One backend has one name, however it is written.
func TestParseListed(t *testing.T) {
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
		u, err := parseListed(raw)
		if (err != nil) != (want == "") || u.Origin != want {
			t.Errorf("%q: %q, %v; want %q", raw, u.Origin, err, want)
		}
	}
}
