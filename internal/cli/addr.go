package cli

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// NodeAddr completes an address without a host (":8080") with this node's one
// private address, and leaves any other as it is. Where the node has no private
// address or several, the error says so and lists them.
func NodeAddr(addr string) (string, error) {
	return nodeAddr(addr, false, interfaceAddrs)
}

// ReachableAddr is NodeAddr for an address that others are told: also one that
// means every interface (0.0.0.0, [::]) is replaced, since nobody can dial it.
func ReachableAddr(addr string) (string, error) {
	return nodeAddr(addr, true, interfaceAddrs)
}

func nodeAddr(addr string, dialled bool, interfaces func() ([]netip.Addr, error)) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("%q is not HOST:PORT or :PORT", addr)
	}
	if host != "" && (!dialled || !isUnspecified(host)) {
		return addr, nil
	}
	addrs, err := interfaces()
	if err != nil {
		return "", fmt.Errorf("%q: this node's addresses: %w", addr, err)
	}
	own, err := privateAddr(addrs)
	if err != nil {
		return "", fmt.Errorf("%q needs this node's private address, but %w", addr, err)
	}
	return net.JoinHostPort(own.String(), port), nil
}

func isUnspecified(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsUnspecified()
}

// privateAddr picks the one private address: of IPv4 if there is one, else of IPv6.
func privateAddr(addrs []netip.Addr) (netip.Addr, error) {
	var v4, v6 []netip.Addr
	for _, a := range addrs {
		switch a = a.Unmap(); {
		case !a.IsPrivate():
		case a.Is4():
			v4 = append(v4, a)
		default:
			v6 = append(v6, a)
		}
	}
	found := v4
	if len(found) == 0 {
		found = v6
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return netip.Addr{}, errors.New("it has none: write the host")
	}
	names := make([]string, len(found))
	for i, a := range found {
		names[i] = a.String()
	}
	return netip.Addr{}, fmt.Errorf("it has several (%s): write the one that is meant", strings.Join(names, ", "))
}

// interfaceAddrs are those of the interfaces that are up.
func interfaceAddrs() ([]netip.Addr, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		list, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", i.Name, err)
		}
		for _, a := range list {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				addrs = append(addrs, prefix.Addr())
			}
		}
	}
	return addrs, nil
}

// IsLoopback says whether an address, HOST:PORT or a URL, can be reached from this
// machine alone. A name other than localhost cannot be trusted to be so.
func IsLoopback(addr string) bool {
	host := addr
	if strings.Contains(addr, "://") {
		u, err := url.Parse(addr)
		if err != nil {
			return false
		}
		host = u.Hostname()
	} else if h, _, err := net.SplitHostPort(addr); err == nil {
		host = h
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// Unspecified tells whether an address stands for every interface.
func Unspecified(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && (host == "" || isUnspecified(host))
}

// Listen binds the address of a setting.
func Listen(setting, addr string) (net.Listener, error) {
	addr, err := NodeAddr(addr)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", setting, err)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", setting, err)
	}
	return ln, nil
}
