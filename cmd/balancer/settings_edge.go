package main

import (
	"errors"

	"github.com/halleycomet/halley/balancer"
	"github.com/halleycomet/halley/internal/cli"
)

// declareTLS binds how clients come in over TLS.
func declareTLS(s *cli.Settings, t *balancer.TLS) {
	s.Paths(&t.CertFiles, "tls-cert", "PEM files with the certificates of --tls-listen, the leaf first in each. The name that a client asks for chooses, the first is for all others. They are read again when they change.")
	s.Paths(&t.KeyFiles, "tls-key", "PEM files with their keys, in the same order.")
	s.Path(&t.ClientCAFile, "tls-client-ca", "A PEM file with the authorities that sign the certificates of clients. Empty: none is asked for.")
	cli.Enum(s, &t.ClientCert, "tls-client-cert", []balancer.ClientCert{balancer.ClientCertRequest, balancer.ClientCertRequire}, "Whether a client needs a certificate, where there is --tls-client-ca.")
	s.String(&t.MinVersion, "tls-min-version", "1.2|1.3", "The least version of TLS that is spoken with clients.")
	s.Duration(&t.HandshakeTimeout, "tls-handshake-timeout", "How long the TLS handshake of a client may take.")
	s.Int(&t.RedirectPort, "redirect-https", "PORT", "Send requests that come by plain HTTP to https with status 308, at this port as clients see it (443, as a rule). 0: serve them.")
	s.Duration(&t.HSTS, "hsts", "For how long browsers are told to come by https only. 0: they are not told.")
}

// declareCometTLS binds how comets are reached over TLS.
func declareCometTLS(s *cli.Settings, t *balancer.CometTLS) {
	s.Path(&t.CAFile, "comet-ca", "A PEM file with the authorities that sign the certificates of comets whose URL is https. Empty: those of the system.")
	s.Path(&t.CertFile, "comet-cert", "A PEM file with the certificate that comets are shown when they ask for one.")
	s.Path(&t.KeyFile, "comet-key", "A PEM file with its key.")
	s.String(&t.ServerName, "comet-server-name", "NAME", "The name for which the certificates of comets must be. Empty: the host of the comet's URL.")
	s.Bool(&t.Insecure, "comet-insecure", "Take every certificate of a comet for good. For trials only.")
}

// declareProxy binds who is told of clients, and by whom.
func declareProxy(s *cli.Settings, b *balancer.Config) {
	cli.Enum(s, &b.ProxyProtocol, "proxy-protocol", []balancer.ProxyProtocol{balancer.ProxyProtocolOff, balancer.ProxyProtocolOptional, balancer.ProxyProtocolRequired}, "Whether connections begin with a header of the PROXY protocol (version 1 or 2), before TLS. It is taken from --trusted-proxies alone.")
	cli.Enum(s, &b.CometProxyProtocol, "comet-proxy-protocol", []balancer.ProxyVersion{balancer.ProxyOff, balancer.ProxyV1, balancer.ProxyV2}, "Whether connections to comets begin with such a header. Each then serves one connection of a client, so there are more of them.")
}

// declareHeaders binds what is added to requests.
func declareHeaders(s *cli.Settings, b *balancer.Config) {
	s.List(&b.ForwardHeaders, "forward-headers", "HEADER", "The headers by which comets are told of the client, of x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-forwarded-port, forwarded. From everybody but --trusted-proxies they are dropped.")
	s.String(&b.RequestIDHeader, "request-id-header", "HEADER", "The header with the id of a request: that of one of --trusted-proxies, or a new one. Empty: there are no ids.")
	cli.Enum(s, &b.Trace, "trace", []balancer.Trace{balancer.TraceOff, balancer.TraceOn, balancer.TraceSampled}, "Whether a request without a traceparent gets one (W3C Trace Context), also one that is to be recorded.")
}

// checkTLS reports settings of TLS that lead nowhere.
func (s *settings) checkTLS(r *cli.Report) {
	switch t := &s.balancer.TLS; {
	case s.TLSListen != "" && !t.Any():
		r.Add("tls-listen", errors.New("needs a certificate: give --tls-cert and --tls-key"))
	case s.TLSListen == "" && t.Any():
		r.Add("tls-cert", errors.New("is used by nobody without --tls-listen"))
	}
}
