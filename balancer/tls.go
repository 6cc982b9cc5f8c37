package balancer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/halleycomet/halley/internal/tlsfiles"
)

// ClientCert says what is asked of clients that come by TLS.
type ClientCert string

const (
	// ClientCertRequest asks for a certificate. Who shows none is let in without; who
	// shows one that the authorities did not sign is not.
	ClientCertRequest ClientCert = "request"
	// ClientCertRequire lets nobody in without.
	ClientCertRequire ClientCert = "require"
)

// TLS is how clients come in over TLS, at the listeners that say so. Its files are
// not named anew by a reload, but they are read again: what changes in them holds for the connections that
// come from then on, and a file that cannot be used leaves the former in force.
//
// HTTP/1.1 is spoken, and no HTTP/2. Of TLS 1.2 only suites with forward secrecy and
// authenticated encryption are. Sessions are resumed by tickets whose keys change
// every day; each balancer has its own.
type TLS struct {
	// CertFiles and KeyFiles name certificates (PEM, the leaf first, then those between
	// it and the root) and their keys, in the same order. The client's name for the
	// server (SNI) chooses among them, the first is for all others. Default none.
	CertFiles []string `setting:"tls-cert" reload:"restart"`
	KeyFiles  []string `setting:"tls-key" reload:"restart"`

	// ClientCAFile names the authorities (PEM) that sign the certificates of clients.
	// The subject of a client's certificate is told the comets in the header
	// X-SSL-Client-S-DN, which then nobody else can set. Default none: no certificate is
	// asked for.
	ClientCAFile string `setting:"tls-client-ca" reload:"restart"`

	// ClientCert says whether clients need one. Default [ClientCertRequire]; it counts
	// only beside ClientCAFile.
	ClientCert ClientCert `setting:"tls-client-cert" reload:"restart"`

	// MinVersion is the least version spoken, "1.2" or "1.3". Default "1.2".
	MinVersion string `setting:"tls-min-version" reload:"restart"`

	// HandshakeTimeout bounds the handshake of a client. Default 5 s.
	HandshakeTimeout time.Duration `setting:"tls-handshake-timeout"`

	// RedirectPort sends every request that comes by plain HTTP to https with status
	// 308, under the same name and path, at this port: that which clients see, which
	// need not be that of the listener. What a trusted proxy says it took by https is
	// served. Default 0: plain HTTP is served.
	RedirectPort int `setting:"redirect-https"`

	// HSTS is for how long browsers are told, in answers over TLS, to come by https only
	// (Strict-Transport-Security). Default 0: they are not told.
	HSTS time.Duration `setting:"hsts"`
}

func defaultTLS() TLS {
	return TLS{ClientCert: ClientCertRequire, MinVersion: "1.2", HandshakeTimeout: 5 * time.Second}
}

// Any tells whether there is a certificate.
func (t *TLS) Any() bool { return len(t.CertFiles)+len(t.KeyFiles) > 0 }

func (t *TLS) validate() error {
	var errs []error
	bad := func(setting string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf(setting+": %w", err))
		}
	}
	if t.Any() {
		certErr, keyErr := tlsfiles.CheckSet(t.CertFiles, t.KeyFiles)
		bad("tls-cert", certErr)
		bad("tls-key", keyErr)
	}
	if t.ClientCAFile != "" {
		_, err := tlsfiles.LoadAuthorities(t.ClientCAFile)
		bad("tls-client-ca", err)
		if !t.Any() {
			bad("tls-client-ca", errors.New("has no meaning without a certificate (tls-cert)"))
		}
	}
	if t.ClientCert != ClientCertRequest && t.ClientCert != ClientCertRequire {
		bad("tls-client-cert", fmt.Errorf("%q is none of request, require", t.ClientCert))
	}
	if _, ok := tlsVersions[t.MinVersion]; !ok {
		bad("tls-min-version", fmt.Errorf("%q is none of 1.2, 1.3", t.MinVersion))
	}
	if t.HandshakeTimeout <= 0 {
		bad("tls-handshake-timeout", fmt.Errorf("%v is not above zero", t.HandshakeTimeout))
	}
	if t.RedirectPort < 0 || t.RedirectPort > 65535 {
		bad("redirect-https", fmt.Errorf("%d is no port", t.RedirectPort))
	}
	if t.HSTS < 0 || t.HSTS%time.Second != 0 {
		bad("hsts", fmt.Errorf("%v is no number of whole seconds", t.HSTS))
	}
	return errors.Join(errs...)
}

var tlsVersions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// suites are those of TLS 1.2. Those of 1.3 are all good, and not to be chosen.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// certs is what the TLS of clients is made of.
type certs struct {
	set     *tlsfiles.Set
	clients *tlsfiles.Authorities // nil: no certificate is asked for
	server  *tls.Config
}

// newCerts reads the files; nil when there are none.
func newCerts(t *TLS) (*certs, error) {
	if !t.Any() {
		return nil, nil
	}
	set, err := tlsfiles.LoadSet(t.CertFiles, t.KeyFiles)
	if err != nil {
		return nil, err
	}
	c := &certs{set: set, server: &tls.Config{
		MinVersion:     tlsVersions[t.MinVersion],
		CipherSuites:   suites,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: set.Certificate,
	}}
	if t.ClientCAFile == "" {
		return c, nil
	}
	if c.clients, err = tlsfiles.LoadAuthorities(t.ClientCAFile); err != nil {
		return nil, err
	}
	c.server.ClientAuth = tls.VerifyClientCertIfGiven
	if t.ClientCert == ClientCertRequire {
		c.server.ClientAuth = tls.RequireAndVerifyClientCert
	}
	// A configuration is not to be changed while it is used, so changed authorities
	// need another; the keys of the tickets stay those of the first.
	asking := c.server.Clone()
	c.server.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := asking.Clone()
		now.ClientCAs = c.clients.Pool()
		return now, nil
	}
	return c, nil
}

// files are those that are read again when they change.
func (c *certs) files() []*tlsfiles.File {
	if c == nil {
		return nil
	}
	files := c.set.Files()
	if c.clients != nil {
		files = append(files, c.clients.File())
	}
	return files
}

// subjectHeader tells comets whose certificate a client has shown.
const subjectHeader = "X-Ssl-Client-S-Dn"

// subjectOf is the subject of a certificate (RFC 2253), with everything escaped that
// does not belong in a header.
func subjectOf(cert *x509.Certificate) string {
	var s strings.Builder
	for _, c := range []byte(cert.Subject.String()) {
		if c < ' ' || c >= 0x7f {
			fmt.Fprintf(&s, `\%02X`, c)
		} else {
			s.WriteByte(c)
		}
	}
	return s.String()
}

// rereadFiles keeps certificates and authorities in step with their files until ctx
// ends.
func (b *Balancer) rereadFiles(ctx context.Context) {
	tlsfiles.RunAll(ctx, b.tlsFiles, b.log)
}
