package discovery

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Endpoint is where a comet is.
type Endpoint struct {
	Origin string // scheme://host:port, normalised; the name of a comet that is only listed
	Addr   string // host:port, to dial
	URL    string // as it is shown
	Secure bool   // it is reached over TLS
	Path   string // of the Bayeux endpoint in the URL, empty when there is none

	host string // for which its certificate must be; empty: the host in Addr
}

// CertName is the host for which the comet's certificate must be; empty without TLS.
func (e *Endpoint) CertName() string {
	switch {
	case !e.Secure:
		return ""
	case e.host != "":
		return e.host
	}
	host, _, err := net.SplitHostPort(e.Addr)
	if err != nil {
		return e.Addr // of which ParseURL has made one with a port
	}
	return host
}

// ParseURL reads the URL of a comet and normalises it: lower case, the port always
// there.
func ParseURL(raw string) (Endpoint, error) {
	u, err := url.Parse(raw)
	if err != nil || !strings.Contains(raw, "://") {
		return Endpoint{}, errors.New("is no URL like http://host:port")
	}
	scheme, port := strings.ToLower(u.Scheme), "80"
	switch scheme {
	case "ws":
		scheme = "http"
	case "https", "wss":
		scheme, port = "https", "443"
	}
	switch {
	case scheme != "http" && scheme != "https":
		return Endpoint{}, fmt.Errorf("has scheme %q: comets are reached over http or https", scheme)
	case u.Hostname() == "":
		return Endpoint{}, errors.New("has no host")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return Endpoint{}, errors.New("is more than a scheme, a host, a port and a path")
	}
	if u.Port() != "" {
		port = u.Port()
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return Endpoint{}, fmt.Errorf("has port %q", port)
	}
	addr := net.JoinHostPort(strings.ToLower(u.Hostname()), port)
	return Endpoint{Origin: scheme + "://" + addr, Addr: addr, URL: raw, Secure: scheme == "https", Path: u.EscapedPath()}, nil
}

// parseListed reads the URL of an entry, which has no path and is shown normalised.
func parseListed(raw string) (Endpoint, error) {
	e, err := ParseURL(raw)
	if err != nil {
		return Endpoint{}, err
	}
	if e.Path != "" && e.Path != "/" {
		return Endpoint{}, errors.New("has a path: a comet is listed as http://host:port")
	}
	e.URL, e.Path = e.Origin, ""
	return e, nil
}
