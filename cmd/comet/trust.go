package main

import (
	"crypto/tls"
	"fmt"
	"net/http"

	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/internal/cli"
	"github.com/halleycomet/halley/internal/tlsfiles"
)

// trust is whose certificates a tool trusts.
type trust struct {
	caFile string
	config *tls.Config // by check
}

func (t *trust) declare(s *cli.Settings) {
	s.String(&t.caFile, "ca-file", "FILE", "A PEM file with the authorities to trust, for https and wss URLs. Empty: those of the system.").NoEnv()
}

func (t *trust) check() (err error) {
	if t.config, err = tlsfiles.Client(t.caFile); err != nil {
		return fmt.Errorf("--ca-file: %w", err)
	}
	return nil
}

// entry is how a tool gets in: whom it trusts, and who it is.
type entry struct {
	trust
	token string
}

func (e *entry) declare(s *cli.Settings) {
	e.trust.declare(s)
	s.Secret(&e.token, "token", "The token (JWT) to show, as Authorization: Bearer.")
}

// apply completes the configuration of a client.
func (e *entry) apply(cfg *client.Config) {
	cfg.TLS = e.config
	if e.token != "" {
		cfg.Header = http.Header{"Authorization": {"Bearer " + e.token}}
	}
}
