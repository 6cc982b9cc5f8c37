package balancer

import (
	"net/netip"
	"testing"
)

func TestPrefixes(t *testing.T) {
	for _, c := range []struct {
		v4, v6 int
		a, b   string
		same   bool
	}{
		{32, 64, "10.1.2.3", "10.1.2.3", true},
		{32, 64, "10.1.2.3", "10.1.2.4", false},
		{24, 64, "10.1.2.3", "10.1.2.4", true},
		{24, 64, "10.1.2.3", "10.1.3.3", false},
		{32, 64, "2001:db8::1", "2001:db8::ffff:1", true},
		{32, 64, "2001:db8::1", "2001:db8:0:1::1", false},
		{32, 128, "2001:db8::1", "2001:db8::2", false},
		{32, 48, "2001:db8::1", "2001:db8:0:ffff::2", true},
		{1, 1, "10.1.2.3", "2001:db8::1", false},
	} {
		p := prefixes{c.v4, c.v6}
		a, b := p.key(netip.MustParseAddr(c.a)), p.key(netip.MustParseAddr(c.b))
		if (a == b) != c.same {
			t.Errorf("/%d and /%d: %s and %s: same %v, want %v", c.v4, c.v6, c.a, c.b, a == b, c.same)
		}
	}
	p, a := prefixes{32, 64}, netip.MustParseAddr("2001:db8::1")
	if n := testing.AllocsPerRun(100, func() { p.key(a) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	p.key(netip.Addr{}) // of a client whose address is not known: any key, and no panic
}
