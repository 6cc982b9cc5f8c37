package load

import (
	"context"
	"net"
	"net/netip"
	"net/url"
)

// loopbackHost says whether clients of a host may have addresses of their own: it
// is on this machine, by IPv4, and the system has all of 127.0.0.0/8, as Linux does.
func loopbackHost(ctx context.Context, u *url.URL) bool {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", u.Hostname())
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if !a.Unmap().IsLoopback() {
			return false
		}
	}
	probe, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(localAddress(maxCount-1).String(), "0"))
	if err != nil {
		return false
	}
	probe.Close()
	return len(addrs) > 0
}

// localAddress is that of client n of up to maxCount: from 127.1.0.1 on, its
// last number never 0 or 255.
func localAddress(n int) netip.Addr {
	last, n := n%254+1, n/254
	return netip.AddrFrom4([4]byte{127, byte(1 + n>>8), byte(n), byte(last)})
}
