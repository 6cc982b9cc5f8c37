package balancer

import (
	"net/netip"
	"strings"
	"testing"
)

func TestClientIP(t *testing.T) {
	for _, c := range []struct {
		name, trusted, remote string
		forwarded             []string
		want                  string
	}{
		{"none trusted", "", "10.0.0.1", []string{"1.2.3.4"}, "10.0.0.1"},
		{"remote not trusted", "10.0.0.0/8", "192.0.2.1", []string{"1.2.3.4"}, "192.0.2.1"},
		{"no header", "10.0.0.0/8", "10.0.0.1", nil, "10.0.0.1"},
		{"one", "10.0.0.0/8", "10.0.0.1", []string{"1.2.3.4"}, "1.2.3.4"},
		{"invented on the left", "10.0.0.0/8", "10.0.0.1", []string{"6.6.6.6, 1.2.3.4"}, "1.2.3.4"},
		{"two proxies", "10.0.0.0/8", "10.0.0.1", []string{"6.6.6.6, 1.2.3.4, 10.0.0.2"}, "1.2.3.4"},
		{"two headers", "10.0.0.0/8", "10.0.0.1", []string{"6.6.6.6, 1.2.3.4", "10.0.0.2"}, "1.2.3.4"},
		{"all trusted", "10.0.0.0/8", "10.0.0.1", []string{"10.9.9.9,10.0.0.2"}, "10.9.9.9"},
		{"garbage", "10.0.0.0/8", "10.0.0.1", []string{"1.2.3.4, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"empty", "10.0.0.0/8", "10.0.0.1", []string{""}, "10.0.0.1"},
		{"with a port", "10.0.0.0/8", "10.0.0.1", []string{"1.2.3.4:5678"}, "1.2.3.4"},
		{"IPv6", "fd00::/8", "fd00::1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv6 with a port", "fd00::1", "fd00::1", []string{"[2001:db8::1]:80"}, "2001:db8::1"},
		{"IPv6 in brackets", "fd00::1", "fd00::1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv4 in IPv6", "10.0.0.0/8", "::ffff:10.0.0.1", []string{"::ffff:1.2.3.4"}, "1.2.3.4"},
		{"with a zone", "", "fe80::1%eth0", nil, "fe80::1"},
	} {
		p, err := parseProxies(strings.Fields(c.trusted))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.client(netip.MustParseAddr(c.remote), lines(c.forwarded...)); got != netip.MustParseAddr(c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// FuzzForwardedFor: whatever a client invents, what the trusted proxies wrote to the
// right of it decides; and it is the same in one header and in several.
func FuzzForwardedFor(f *testing.F) {
	for _, s := range []string{"", "1.2.3.4", "10.0.0.1", "unknown", "[::1]:80, ::ffff:10.0.0.9", ",,,", "1.2.3.4:5, fe80::1%eth0", "10.0.0.2, 10.0.0.3\t"} {
		f.Add(s)
	}
	p, err := parseProxies([]string{"10.0.0.0/8", "fd00::/8"})
	if err != nil {
		f.Fatal(err)
	}
	proxy, stranger := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.1")
	f.Fuzz(func(t *testing.T, header string) {
		got := p.client(proxy, lines(header))
		if !got.IsValid() || got.Zone() != "" || got.Is4In6() {
			t.Errorf("%q: %v", header, got)
		}
		if got := p.client(stranger, lines(header)); got != stranger {
			t.Errorf("%q of a stranger: %v", header, got)
		}
		if got := p.client(proxy, lines(header+", 198.51.100.7, 10.0.0.2")); got.String() != "198.51.100.7" {
			t.Errorf("%q before what proxies wrote: %v", header, got)
		}
		if several := p.client(proxy, lines(strings.Split(header, ",")...)); several != got {
			t.Errorf("%q: %v in one header, %v in several", header, got, several)
		}
	})
}

func TestParseProxies(t *testing.T) {
	_, err := parseProxies([]string{"10.0.0.0/8", "10.0.0.0/99", "::1", "proxy.example"})
	if err == nil || !strings.Contains(err.Error(), "/99") || !strings.Contains(err.Error(), "proxy.example") {
		t.Errorf("not all mistakes: %v", err)
	}
}
