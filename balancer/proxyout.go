package balancer

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

// ProxyVersion is the version of the PROXY protocol that comets are spoken to in.
type ProxyVersion string

const (
	// ProxyOff: they are spoken to in HTTP alone.
	ProxyOff ProxyVersion = "off"
	// ProxyV1 is the line of text.
	ProxyV1 ProxyVersion = "v1"
	// ProxyV2 is the binary header.
	ProxyV2 ProxyVersion = "v2"
)

// origin is for whom a connection to a comet is: the client, and where it came in. The
// zero origin is the balancer itself.
type origin struct{ client, at netip.AddrPort }

// originOf is the origin of a request, if comets are told of it. Where a proxy in front
// has told of the client in a header, the client's port is not known, and 0.
func originOf(version ProxyVersion, client netip.Addr, peer, at net.Addr) origin {
	if version == ProxyOff {
		return origin{}
	}
	o := origin{client: netip.AddrPortFrom(client, 0)}
	if p, ok := peer.(*net.TCPAddr); ok && plain(p.AddrPort().Addr()) == client {
		o.client = netip.AddrPortFrom(client, p.AddrPort().Port())
	}
	if a, ok := at.(*net.TCPAddr); ok {
		o.at = netip.AddrPortFrom(plain(a.AddrPort().Addr()), a.AddrPort().Port())
	}
	return o
}

// header is what a connection to a comet begins with. Both addresses are of one family:
// where they are not, that of IPv4 is written as one of IPv6.
func (o origin) header(version ProxyVersion) ([]byte, error) {
	h := &proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}
	if version == ProxyV1 {
		h.Version = 1
	}
	if o.client.IsValid() && o.at.IsValid() {
		h.Command, h.TransportProtocol = proxyproto.PROXY, proxyproto.TCPv4
		if o.client.Addr().Is6() || o.at.Addr().Is6() {
			h.TransportProtocol = proxyproto.TCPv6
		}
		h.SourceAddr, h.DestinationAddr = net.TCPAddrFromAddrPort(o.client), net.TCPAddrFromAddrPort(o.at)
	}
	return h.Format()
}

// tellOrigin writes that header, and says how long it is.
func tellOrigin(ctx context.Context, conn net.Conn, version ProxyVersion, from origin) (uint64, error) {
	header, err := from.header(version)
	if err != nil {
		return 0, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetWriteDeadline(deadline)
		defer conn.SetWriteDeadline(time.Time{})
	}
	n, err := conn.Write(header)
	return uint64(n), err
}
