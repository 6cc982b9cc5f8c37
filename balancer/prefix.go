package balancer

import (
	"net/netip"
)

// prefixes are how many bits of a client's address it is routed by.
type prefixes struct{ v4, v6 int }

// key is the hash of a client's network. The bits beyond the prefix are zero in it, so
// that it is the same for all addresses of the network, on all balancers.
func (p prefixes) key(a netip.Addr) uint64 {
	n := p.v6
	if a.Is4() {
		n = p.v4
	}
	net, err := a.Prefix(n)
	if err != nil {
		return hashKey(nil) // no address at all
	}
	if a = net.Addr(); a.Is4() {
		b := a.As4()
		return hashKey(b[:])
	}
	b := a.As16()
	return hashKey(b[:])
}
