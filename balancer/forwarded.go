package balancer

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"github.com/valyala/fasthttp"
)

// Headers by which proxies tell of a client (settings of Config.ForwardHeaders).
const (
	ForwardFor       = "x-forwarded-for"
	ForwardProto     = "x-forwarded-proto"
	ForwardHost      = "x-forwarded-host"
	ForwardPort      = "x-forwarded-port"
	ForwardForwarded = "forwarded"
)

// forwardSet is some of them.
type forwardSet uint8

const (
	addsFor forwardSet = 1 << iota
	addsProto
	addsHost
	addsPort
	addsForwarded
)

func parseForwards(list []string) (set forwardSet, err error) {
	known := map[string]forwardSet{
		ForwardFor: addsFor, ForwardProto: addsProto, ForwardHost: addsHost, ForwardPort: addsPort, ForwardForwarded: addsForwarded,
	}
	var errs []error
	for _, name := range list {
		bit, ok := known[name]
		if !ok {
			errs = append(errs, fmt.Errorf("%q is none of x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-forwarded-port, forwarded", name))
		}
		set |= bit
	}
	return set, errors.Join(errs...)
}

// tellsOfClients tells whether a header tells of the client of a proxy. From whoever
// is no trusted proxy such headers are not passed on: the comet, or a library in it,
// would believe them.
func tellsOfClients(name []byte) bool {
	switch string(name) {
	case "Forwarded", "X-Real-Ip":
		return true
	}
	return bytes.HasPrefix(name, []byte("X-Forwarded-"))
}

// appendForwards appends what is told of the client. Of a list that a trusted proxy has
// begun, ours is the next element; what else such a proxy has said, stands.
func appendForwards(dst []byte, f *headFrom, host []byte) []byte {
	scheme := "http"
	if f.https {
		scheme = "https"
	}
	if f.adds&addsFor != 0 {
		dst = append(dst, "X-Forwarded-For: "...)
		dst = f.appendBefore(dst, fasthttp.HeaderXForwardedFor)
		dst = f.peer.AppendTo(dst)
		dst = append(dst, "\r\n"...)
	}
	if f.adds&addsProto != 0 {
		dst = append(dst, "X-Forwarded-Proto: "...)
		dst = append(dst, f.said(fasthttp.HeaderXForwardedProto, scheme)...)
		dst = append(dst, "\r\n"...)
	}
	if f.adds&addsHost != 0 {
		dst = append(dst, "X-Forwarded-Host: "...)
		if said := f.said(fasthttp.HeaderXForwardedHost, ""); len(said) > 0 {
			dst = append(dst, said...)
		} else {
			dst = append(dst, host...)
		}
		dst = append(dst, "\r\n"...)
	}
	if f.adds&addsPort != 0 {
		dst = append(dst, "X-Forwarded-Port: "...)
		dst = append(dst, f.said("X-Forwarded-Port", portOf(host, f.https))...)
		dst = append(dst, "\r\n"...)
	}
	if f.adds&addsForwarded != 0 {
		dst = append(dst, "Forwarded: "...)
		dst = f.appendBefore(dst, fasthttp.HeaderForwarded)
		dst = appendForwarded(dst, f.peer, host, scheme)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// appendBefore appends what trusted proxies have written into a list, and a comma.
func (f *headFrom) appendBefore(dst []byte, name string) []byte {
	if !f.trusted {
		return dst
	}
	for _, v := range f.header.PeekAll(name) {
		if len(v) > 0 {
			dst = append(dst, v...)
			dst = append(dst, ", "...)
		}
	}
	return dst
}

// said is the value of a header of a trusted proxy, else our own.
func (f *headFrom) said(name, own string) []byte {
	if f.trusted {
		if v := f.header.Peek(name); len(v) > 0 {
			return v
		}
	}
	return []byte(own)
}

// portOf is the port that the client believes to talk to.
func portOf(host []byte, https bool) string {
	if colon := bytes.LastIndexByte(host, ':'); colon >= 0 {
		if port := host[colon+1:]; len(port) > 0 && len(port) <= 5 && onlyOf(port, "0123456789") {
			return string(port)
		}
	}
	if https {
		return "443"
	}
	return "80"
}

// appendForwarded appends our element of the header Forwarded (RFC 7239, 4): an IPv6
// address stands in brackets and quotes (6), and so does a host that is no token.
func appendForwarded(dst []byte, peer netip.Addr, host []byte, scheme string) []byte {
	dst = append(dst, "for="...)
	if peer.Is6() {
		dst = append(dst, `"[`...)
		dst = peer.AppendTo(dst)
		dst = append(dst, `]"`...)
	} else {
		dst = peer.AppendTo(dst)
	}
	dst = append(dst, ";host="...)
	if isToken(host) {
		dst = append(dst, host...)
	} else {
		dst = append(dst, '"')
		for _, c := range host {
			if c == '"' || c == '\\' {
				dst = append(dst, '\\')
			}
			dst = append(dst, c)
		}
		dst = append(dst, '"')
	}
	return append(append(dst, ";proto="...), scheme...)
}
