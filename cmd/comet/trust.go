package main

import (
	"crypto/tls"
	"fmt"

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
