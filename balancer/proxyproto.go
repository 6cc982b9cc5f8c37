package balancer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/halleycomet/halley/internal/chunk"
	"github.com/pires/go-proxyproto"
)

// ProxyProtocol says whether clients come in through proxies that speak the PROXY
// protocol of HAProxy, version 1 or 2.
type ProxyProtocol string

const (
	// ProxyProtocolOff: they do not. Such a header is no HTTP, and refused as that.
	ProxyProtocolOff ProxyProtocol = "off"
	// ProxyProtocolOptional: a connection from one of Config.TrustedProxies may begin
	// with the header. From anybody else it is refused as what it is not, HTTP or TLS.
	ProxyProtocolOptional ProxyProtocol = "optional"
	// ProxyProtocolRequired: every connection begins with the header, and comes from one
	// of Config.TrustedProxies. All others are closed.
	ProxyProtocolRequired ProxyProtocol = "required"
)

// What became of the PROXY headers of connections: the label of their metric.
const (
	proxyOK        Reason = "ok"        // it names the client
	proxyLocal     Reason = "local"     // the proxy speaks for itself, or names no address of TCP
	proxyNone      Reason = "none"      // there was none, and need not be
	proxyMissing   Reason = "missing"   // there was none
	proxyMalformed Reason = "malformed" // it is wrong, or longer than maxProxyHeader
	proxyUntrusted Reason = "untrusted" // who connects is no trusted proxy
	proxyTimeout   Reason = "timeout"   // it did not come in time
	proxyClosed    Reason = "closed"    // the connection ended before
)

const (
	// maxProxyLine is the longest header of version 1, by its specification.
	maxProxyLine = 107
	// maxProxyHeader is the longest header of version 2 that is taken, without the fixed
	// part of 16 bytes. What proxies add beside the addresses, certificates included,
	// stays far below it.
	maxProxyHeader = 4096
	proxyFixed     = 16
)

// proxySpan is where the header ends that data begins with.
type proxySpan uint8

const (
	spanMore      proxySpan = iota // that cannot be told yet
	spanNone                       // data begins with no such header
	spanWhole                      // the header is there
	spanMalformed                  // it is longer than it may be, or a line that ends otherwise
)

// spanOf finds the end of a PROXY header, so that not a byte beyond it is read.
func spanOf(data []byte) (n int, s proxySpan) {
	switch {
	case begins(data, proxyBinary):
		if len(data) < proxyFixed {
			return 0, spanMore
		}
		length := int(binary.BigEndian.Uint16(data[14:proxyFixed]))
		switch {
		case length > maxProxyHeader:
			return 0, spanMalformed
		case len(data) < proxyFixed+length:
			return 0, spanMore
		}
		return proxyFixed + length, spanWhole
	case begins(data, proxyLine):
		end := bytes.IndexByte(data[:min(len(data), maxProxyLine)], '\n')
		switch {
		case end < 0 && len(data) < maxProxyLine:
			return 0, spanMore
		case end < 0, data[end-1] != '\r':
			return 0, spanMalformed
		}
		return end + 1, spanWhole
	case begins(proxyBinary, data), begins(proxyLine, data):
		return 0, spanMore
	}
	return 0, spanNone
}

var (
	proxyLine   = []byte("PROXY ")
	proxyBinary = proxyproto.SIGV2
)

func begins(data, prefix []byte) bool { return bytes.HasPrefix(data, prefix) }

// parseProxy reads a whole header. The address is that of the client, and not valid
// where the proxy names none of TCP: it speaks for itself, or the client came to it by
// a socket of the file system.
func parseProxy(header []byte) (client netip.AddrPort, err error) {
	r := bufio.NewReaderSize(bytes.NewReader(header), proxyFixed+maxProxyHeader)
	h, err := proxyproto.Read(r)
	if err != nil {
		return client, err
	}
	if r.Buffered() > 0 {
		return client, errors.New("bytes follow the header")
	}
	if h.Command.IsLocal() {
		return client, nil
	}
	switch a := h.SourceAddr.(type) {
	case *net.UnixAddr:
		return client, nil
	case *net.TCPAddr:
		client = netip.AddrPortFrom(plain(a.AddrPort().Addr()), a.AddrPort().Port())
		if ip := client.Addr(); !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() {
			return netip.AddrPort{}, fmt.Errorf("%v is the address of no client", ip)
		}
		return client, nil
	default:
		return client, fmt.Errorf("a client of %v cannot come by TCP", h.TransportProtocol)
	}
}

// introduce reads the PROXY header of a connection, if it is to have one, and notes
// whose connection it is.
func (b *Balancer) introduce(c *clientConn, mode ProxyProtocol) error {
	conf := b.inForce()
	result := func(why Reason, err error) error {
		b.entries.proxied.WithLabelValues(string(why)).Inc()
		if err != nil {
			return fmt.Errorf("PROXY header: %w", err)
		}
		return nil
	}
	if peer, ok := c.TCPConn.RemoteAddr().(*net.TCPAddr); !ok || !conf.proxies.trusts(plain(peer.AddrPort().Addr())) {
		if mode == ProxyProtocolRequired {
			return result(proxyUntrusted, fmt.Errorf("%v is no trusted proxy", c.TCPConn.RemoteAddr()))
		}
		return nil
	}
	c.TCPConn.SetReadDeadline(time.Now().Add(conf.Limits.ReadTimeout))
	defer c.TCPConn.SetReadDeadline(time.Time{})
	buf := chunk.Get()
	defer buf.Free()
	n, span, err := peekProxy(c.TCPConn, buf.Buf[:proxyFixed+maxProxyHeader])
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return result(proxyTimeout, err)
	case err != nil:
		return result(proxyClosed, err)
	case span == spanMalformed:
		return result(proxyMalformed, errors.New("it does not end where it must"))
	case span == spanNone && mode == ProxyProtocolRequired:
		return result(proxyMissing, errors.New("there is none"))
	case span == spanNone:
		return result(proxyNone, nil)
	}
	header := buf.Buf[:n]
	if _, err := io.ReadFull(c.TCPConn, header); err != nil {
		return result(proxyClosed, err)
	}
	client, err := parseProxy(header)
	switch {
	case err != nil:
		return result(proxyMalformed, err)
	case !client.IsValid():
		return result(proxyLocal, nil)
	}
	if !conf.proxies.trusts(client.Addr()) && !c.ticket.introduce(client.Addr(), conf.MaxConnsPerIP) {
		b.door.shut.WithLabelValues(string(shutPerIP)).Inc()
		return fmt.Errorf("%v has too many connections", client.Addr())
	}
	c.from = net.TCPAddrFromAddrPort(client)
	return result(proxyOK, nil)
}
