package main

import (
	"errors"
	"strings"

	"github.com/halleycomet/halley/internal/cli"
	"github.com/halleycomet/halley/internal/tlsfiles"
)

// security is what is set of TLS.
type security struct {
	certFile string
	keyFile  string // beside certFile, or both are empty
	oortCA   string
}

func declareSecurity(s *cli.Settings, set *security) {
	s.String(&set.certFile, "tls-cert-file", "FILE", "A PEM file with the certificate of --listen, the comet's own first. With it clients, balancers and other comets speak TLS (https, wss). It is read again when it changes.")
	s.String(&set.keyFile, "tls-key-file", "FILE", "A PEM file with the key of the certificate.")
	s.String(&set.oortCA, "oort-ca-file", "FILE", "A PEM file with the authorities that sign the certificates of other comets, for links to https and wss URLs. Empty: those of the system. It is read at the start.")
}

// tls tells whether the listener speaks TLS.
func (set *security) tls() bool { return set.certFile != "" }

// scheme is that of the listener's URLs.
func (set *security) scheme() string {
	if set.tls() {
		return "https"
	}
	return "http"
}

// check reports what is wrong, url being that of --url or empty.
func (set *security) check(r *cli.Report, url string) {
	certErr, keyErr := tlsfiles.Check(set.certFile, set.keyFile)
	r.Add("tls-cert-file", certErr)
	r.Add("tls-key-file", keyErr)
	if scheme, _, _ := strings.Cut(strings.ToLower(url), "://"); set.tls() && (scheme == "http" || scheme == "ws") {
		r.Add("url", errors.New("is no https URL, though there is a certificate: nobody would reach this comet"))
	}
	_, err := tlsfiles.Client(set.oortCA)
	r.Add("oort-ca-file", err)
}
