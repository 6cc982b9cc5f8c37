package main

import (
	"errors"
	"strings"

	"github.com/halleycomet/halley/comet/access"
	"github.com/halleycomet/halley/internal/cli"
	"github.com/halleycomet/halley/internal/tlsfiles"
)

// security is what is set of TLS, and of who may do what.
type security struct {
	access access.Config

	certFile string
	keyFile  string // beside certFile, or both are empty
	oortCA   string
}

func declareSecurity(s *cli.Settings, set *security) {
	s.String(&set.certFile, "tls-cert-file", "FILE", "A PEM file with the certificate of --listen, the comet's own first. With it clients, balancers and other comets speak TLS (https, wss). It is read again when it changes.")
	s.String(&set.keyFile, "tls-key-file", "FILE", "A PEM file with the key of the certificate.")
	s.String(&set.oortCA, "oort-ca-file", "FILE", "A PEM file with the authorities that sign the certificates of other comets, for links to https and wss URLs. Empty: those of the system. It is read at the start.")
	declareAccess(s, &set.access)
}

func declareAccess(s *cli.Settings, c *access.Config) {
	*c = access.DefaultConfig()
	s.String(&c.KeyFile, "jwt-key-file", "FILE", "A PEM file with the public keys (RSA, EC, Ed25519) or certificates by which clients' tokens are verified. It is read again when it changes. With this, or one of the next two, clients need a token (JWT).")
	s.String(&c.JWKSFile, "jwt-jwks-file", "FILE", "The same, as a JSON Web Key Set.")
	s.String(&c.SecretFile, "jwt-secret-file", "FILE", "The same, as one secret for HMAC, of at least 32 bytes.")
	s.List(&c.Algorithms, "jwt-algorithms", "NAME", "By which algorithms tokens may be signed. Empty: all that fit the keys. One of "+strings.Join(access.Algorithms(), ", ")+".")
	s.String(&c.Issuer, "jwt-issuer", "NAME", "What iss must be in tokens. Empty: anything.")
	s.List(&c.Audience, "jwt-audience", "NAME", "Names of which one must be in the aud of tokens. Empty: anything.")
	s.Duration(&c.Leeway, "jwt-leeway", "By how much the clocks of those who sign tokens may differ from this one.")
	s.Bool(&c.RequireExpiry, "jwt-require-expiry", "Refuse tokens without exp.")
	s.List(&c.Fields, "jwt-fields", "FIELD", "Where the ext of a handshake may have the token. Where none has, it is taken from the header Authorization: Bearer.")
	s.Bool(&c.EndExpired, "jwt-end-expired", "End a session when its token has expired, so that its client comes with another.")
	s.Bool(&c.Anonymous, "anonymous", "Let clients in that bring no token, where others need a good one.")
	s.String(&c.RulesFile, "rules-file", "FILE", "A YAML file with the rules about who may subscribe to, publish to and create which channels (docs/security.md). It is read again when it changes. Empty: everybody may.")
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
	r.All(set.access.Validate(), nil)
	_, err := tlsfiles.Client(set.oortCA)
	r.Add("oort-ca-file", err)
}
