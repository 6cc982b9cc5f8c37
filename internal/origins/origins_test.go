package origins

import (
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestAllows(t *testing.T) {
	for _, c := range []struct {
		name, list, origin, host string
		want                     bool
	}{
		{"no origin", "", "", "a.example", true},
		{"no origin, listed", "https://b.example", "", "a.example", true},

		{"same host", "", "http://a.example", "a.example", true},
		{"same host, TLS ended before us", "", "https://a.example", "a.example", true},
		{"same host, case", "", "HTTP://A.Example", "a.exAMPLE", true},
		{"same host and port", "", "http://a.example:8080", "a.example:8080", true},
		{"usual port written in Host", "", "http://a.example", "a.example:80", true},
		{"usual port written in Origin", "", "https://a.example:443", "a.example", true},
		{"usual port of the other scheme", "", "https://a.example", "a.example:80", false},
		{"other port", "", "http://a.example:8081", "a.example:8080", false},
		{"port missing in Host", "", "http://a.example:8080", "a.example", false},
		{"other host", "", "http://b.example", "a.example", false},
		{"host as prefix", "", "http://a.example.evil.example", "a.example", false},
		{"host in the user part", "", "http://a.example@evil.example", "a.example", false},
		{"IPv6", "", "http://[::1]:8080", "[::1]:8080", true},
		{"IPv6 without port", "", "http://[::1]", "[::1]", true},
		{"IPv6, other port", "", "http://[::1]:1", "[::1]:2", false},
		{"IPv6, bad bracket", "", "http://[::1", "[::1", false},
		{"no Host", "", "http://a.example", "", false},
		{"null", "", "null", "a.example", false},
		{"null as a Host", "", "null", "null", false},
		{"no scheme", "", "a.example", "a.example", false},
		{"bad port", "", "http://a.example:x", "a.example:x", false},
		{"port zero", "", "http://a.example:0", "a.example:0", false},
		{"two origins in one header", "", "http://a.example, http://b.example", "a.example", false},

		{"any", "*", "https://b.example", "a.example", true},
		{"any, null", "*", "null", "a.example", true},

		{"listed", "https://b.example https://c.example:8443", "https://c.example:8443", "a.example", true},
		{"listed, case", "https://B.example", "https://b.EXAMPLE", "a.example", true},
		{"listed with its usual port", "https://b.example:443", "https://b.example", "a.example", true},
		{"listed, other scheme", "https://b.example", "http://b.example", "a.example", false},
		{"listed, other port", "https://b.example", "https://b.example:8443", "a.example", false},
		{"a list replaces the same host", "https://b.example", "https://a.example", "a.example", false},
		{"null listed", "null https://b.example", "null", "a.example", true},
		{"null not listed", "https://b.example", "null", "a.example", false},

		{"wildcard", "https://*.b.example", "https://x.b.example", "a.example", true},
		{"wildcard, deeper, case", "https://*.b.example", "https://y.X.B.example", "a.example", true},
		{"wildcard, its root", "https://*.b.example", "https://b.example", "a.example", false},
		{"wildcard, empty label", "https://*.b.example", "https://.b.example", "a.example", false},
		{"wildcard, name that ends alike", "https://*.b.example", "https://evilb.example", "a.example", false},
		{"wildcard, scheme", "https://*.b.example", "http://x.b.example", "a.example", false},
		{"wildcard, port", "https://*.b.example:8443", "https://x.b.example:8443", "a.example", true},
		{"wildcard, other port", "https://*.b.example:8443", "https://x.b.example", "a.example", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Parse(strings.Fields(c.list))
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Allows(c.origin, c.host); got != c.want {
				t.Errorf("list %q, origin %q, host %q: %v, want %v", c.list, c.origin, c.host, got, c.want)
			}
		})
	}
}

func TestParseReportsEveryBadEntry(t *testing.T) {
	bad := []string{
		"", "b.example", "*.b.example", "://b.example", "https://", "https://b.example/", "https://b.example/chat",
		"https://u@b.example", "https://b.example:port", "https://b.*.example", "https://*", "https://bücher.example", "https://::1",
	}
	_, err := Parse(append([]string{"https://fine.example"}, bad...))
	if err == nil {
		t.Fatal("accepted")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(bad) {
		t.Errorf("%d complaints about %d bad entries:\n%v", len(lines), len(bad), err)
	}
	for i, line := range lines {
		if !strings.Contains(line, `"`+bad[i]+`"`) {
			t.Errorf("complaint %d does not name %q: %s", i, bad[i], line)
		}
	}
}

func TestApply(t *testing.T) {
	var h fasthttp.ResponseHeader
	h.Set("Vary", "Accept-Encoding")
	Apply(&h, "https://a.example")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin":      "https://a.example",
		"Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Methods":     "",
	} {
		if got := string(h.Peek(name)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if vary := h.PeekAll("Vary"); len(vary) != 2 || string(vary[0]) != "Accept-Encoding" || string(vary[1]) != "Origin" {
		t.Errorf("Vary: %q", vary)
	}
}

func TestApplyPreflight(t *testing.T) {
	var h fasthttp.ResponseHeader
	ApplyPreflight(&h, "https://a.example")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin":      "https://a.example",
		"Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Methods":     "POST",
		"Access-Control-Allow-Headers":     "Content-Type",
		"Access-Control-Max-Age":           "1800",
		"Vary":                             "Origin",
	} {
		if got := string(h.Peek(name)); !strings.Contains(got, want) {
			t.Errorf("%s: %q lacks %q", name, got, want)
		}
	}
}

// A request without an origin gets nothing that names one.
func TestApplyWithoutOrigin(t *testing.T) {
	var h fasthttp.ResponseHeader
	ApplyPreflight(&h, "")
	if s := h.String(); strings.Contains(s, "Access-Control") || !strings.Contains(s, "Vary: Origin") {
		t.Errorf("headers:\n%s", s)
	}
}

func FuzzAllows(f *testing.F) {
	p, err := Parse([]string{"https://*.b.example", "https://c.example"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("https://x.b.example", "a.example")
	f.Add("http://[::1]:80", "[::1]")
	f.Fuzz(func(t *testing.T, origin, host string) {
		allowed := p.Allows(origin, host)
		low := strings.ToLower(origin)
		if origin != "" && allowed && !strings.HasPrefix(low, "https://") {
			t.Errorf("allowed %q", origin)
		}
		if allowed && strings.ContainsAny(origin, "/\r\n") && strings.Count(origin, "/") != 2 {
			t.Errorf("allowed %q", origin)
		}
	})
}
