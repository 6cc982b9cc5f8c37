package balancer

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// proxies are the networks whose X-Forwarded-For is believed.
type proxies struct{ trusted []netip.Prefix }

// parseProxies reads networks in CIDR form and single addresses; its error names
// every bad one.
func parseProxies(list []string) (proxies, error) {
	var p proxies
	var errs []error
	for _, entry := range list {
		s := strings.TrimSpace(entry)
		if addr, err := netip.ParseAddr(s); err == nil {
			addr = plain(addr)
			p.trusted = append(p.trusted, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		net, err := netip.ParsePrefix(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("%q is no network like 10.0.0.0/8 and no address", entry))
			continue
		}
		p.trusted = append(p.trusted, net.Masked())
	}
	return p, errors.Join(errs...)
}

func (p proxies) trusts(a netip.Addr) bool {
	for _, net := range p.trusted {
		if net.Contains(a) {
			return true
		}
	}
	return false
}

// client is the address of the client of a request that came from remote with these
// X-Forwarded-For headers: the last address, seen from here, that no trusted proxy
// has. Each proxy appends the address that it was called from, so what stands left
// of the first untrusted one may be invented. What cannot be read ends the search
// at the proxy that wrote it.
func (p proxies) client(remote netip.Addr, forwarded [][]byte) netip.Addr {
	at := plain(remote)
	if len(p.trusted) == 0 {
		return at
	}
	for i := len(forwarded) - 1; i >= 0; i-- {
		for h := forwarded[i]; ; {
			if !p.trusts(at) {
				return at
			}
			comma := bytes.LastIndexByte(h, ',')
			hop, ok := parseHop(string(bytes.TrimSpace(h[comma+1:])))
			if !ok {
				return at
			}
			at = hop
			if comma < 0 {
				break
			}
			h = h[:comma]
		}
	}
	return at
}

// parseHop reads an element of X-Forwarded-For: an address, which some proxies
// write with a port.
func parseHop(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return plain(a), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return plain(ap.Addr()), true
	}
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		if a, err := netip.ParseAddr(s[1 : len(s)-1]); err == nil {
			return plain(a), true
		}
	}
	return netip.Addr{}, false
}

// plain brings the several ways of writing one address to one: an IPv4 address
// stays IPv4 when it came in IPv6, and an interface is no part of an address.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
