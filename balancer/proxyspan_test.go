package balancer

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
)

// Where a PROXY header ends is known from its beginning, or that it is none.
func TestSpanOf(t *testing.T) {
	binary := func(length int, body string) string {
		return string(proxyBinary) + "\x21\x11" + string([]byte{byte(length >> 8), byte(length)}) + body
	}
	for _, c := range []struct {
		data string
		n    int
		span proxySpan
	}{
		{"", 0, spanMore},
		{"PRO", 0, spanMore},
		{"POST / HTTP/1.1\r\n", 0, spanNone},
		{"PROXY UNKNOWN\r\nGET", 15, spanWhole},
		{"PROXY UNKNOWN\nGET", 0, spanMalformed},
		{"PROXY " + strings.Repeat("x", maxProxyLine), 0, spanMalformed},
		{"PROXY " + strings.Repeat("x", maxProxyLine-7), 0, spanMore},
		{string(proxyBinary[:5]), 0, spanMore},
		{binary(12, "")[:15], 0, spanMore},
		{binary(12, "12345678901"), 0, spanMore},
		{binary(12, "123456789012GET"), 28, spanWhole},
		{binary(maxProxyHeader, ""), 0, spanMore},
		{binary(maxProxyHeader+1, ""), 0, spanMalformed},
	} {
		if n, span := spanOf([]byte(c.data)); n != c.n || span != c.span {
			t.Errorf("%.40q: %d, %d; want %d, %d", c.data, n, span, c.n, c.span)
		}
	}
}

// Both addresses of a header are of one family.
func TestOriginHeader(t *testing.T) {
	at := netip.MustParseAddrPort
	for _, c := range []struct {
		o    origin
		want proxyproto.AddressFamilyAndProtocol
	}{
		{origin{}, proxyproto.UNSPEC},
		{origin{client: at("1.2.3.4:5")}, proxyproto.UNSPEC},
		{origin{at("1.2.3.4:5"), at("5.6.7.8:80")}, proxyproto.TCPv4},
		{origin{at("1.2.3.4:5"), at("[::1]:80")}, proxyproto.TCPv6},
		{origin{at("[::2]:5"), at("5.6.7.8:80")}, proxyproto.TCPv6},
	} {
		text, err := c.o.header(ProxyV2)
		if err != nil || len(text) < proxyFixed || proxyproto.AddressFamilyAndProtocol(text[13]) != c.want {
			t.Errorf("%+v: %x %v", c.o, text, err)
		}
	}
}
