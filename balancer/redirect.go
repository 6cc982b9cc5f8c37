package balancer

import (
	"bytes"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// toHTTPS sends clients of plain HTTP to https, if they are to be: it tells whether
// the request was answered so. What a trusted proxy has taken by https passes.
func (b *Balancer) toHTTPS(ctx *fasthttp.RequestCtx) bool {
	conf := b.inForce()
	if conf.TLS.RedirectPort == 0 || ctx.IsTLS() {
		return false
	}
	h := &ctx.Request.Header
	if bytes.EqualFold(h.Peek(fasthttp.HeaderXForwardedProto), []byte("https")) && conf.proxies.trusts(peerOf(ctx)) {
		return false
	}
	path, host := target(h)
	to, ok := appendLocation(nil, host, path, conf.TLS.RedirectPort)
	if !ok {
		b.refuse(ctx, reasonMalformed, fasthttp.StatusBadRequest, "this host cannot be named in an answer\n")
	} else {
		b.refuse(ctx, reasonPlainHTTP, fasthttp.StatusPermanentRedirect, "this is served over https\n")
		ctx.Response.Header.SetBytesV(fasthttp.HeaderLocation, to)
	}
	ctx.SetConnectionClose()
	return true
}

// appendLocation appends where a request goes to by https. Not every host that a
// client may send is fit to be repeated.
func appendLocation(dst, host, path []byte, port int) ([]byte, bool) {
	var name []byte
	if end := bytes.LastIndexByte(host, ']'); bytes.HasPrefix(host, []byte("[")) && end > 0 {
		name = host[:end+1]
	} else {
		name, _, _ = bytes.Cut(host, []byte{':'})
	}
	if len(name) == 0 || !onlyOf(name, hostChars) {
		return dst, false
	}
	dst = append(append(dst, "https://"...), name...)
	if port != 443 {
		dst = strconv.AppendInt(append(dst, ':'), int64(port), 10)
	}
	if len(path) == 0 || path[0] != '/' {
		return append(dst, '/'), true // OPTIONS *
	}
	return append(dst, path...), true
}

const hostChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._[]:"

func onlyOf(s []byte, chars string) bool {
	for _, c := range s {
		if bytes.IndexByte([]byte(chars), c) < 0 {
			return false
		}
	}
	return true
}

// tellSecure has browsers come by https from now on, if they are to (RFC 6797). What a
// comet says of it itself, stands.
func (b *Balancer) tellSecure(ctx *fasthttp.RequestCtx) {
	age := b.conf().TLS.HSTS
	h := &ctx.Response.Header
	if age == 0 || !ctx.IsTLS() || len(h.Peek(fasthttp.HeaderStrictTransportSecurity)) > 0 {
		return
	}
	h.Set(fasthttp.HeaderStrictTransportSecurity, "max-age="+strconv.FormatInt(int64(age/time.Second), 10))
}
