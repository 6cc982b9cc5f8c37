package main

import (
	"context"
	"crypto/tls"
	"fmt"

	"github.com/halleycomet/halley/comet/access"
	"github.com/halleycomet/halley/internal/tlsfiles"
)

// makeSecurity puts TLS over the listener where there is a certificate.
func (n *process) makeSecurity() (err error) {
	n.clients = n.listeners.Listen
	set := &n.set.security
	if !set.tls() {
		return nil
	}
	if n.pair, err = tlsfiles.Load(set.certFile, set.keyFile); err != nil {
		return fmt.Errorf("tls-cert-file: %w", err)
	}
	n.clients = tls.NewListener(n.clients, n.pair.Server())
	return nil
}

// makePolicy makes who may do what, where anything is set of it.
func (n *process) makePolicy() (err error) {
	cfg := n.set.security.access
	if !cfg.Enabled() {
		return nil
	}
	cfg.Log = n.log
	if n.policy, err = access.New(cfg); err != nil {
		return err
	}
	n.policy.Install(n.server)
	return nil
}

// keepers are the parts that keep something in step with its files.
func (n *process) keepers() []part {
	var parts []part
	if n.pair != nil {
		parts = append(parts, part{"certificate", func(ctx context.Context) error { return n.pair.Run(ctx, n.log) }})
	}
	if n.policy != nil {
		parts = append(parts, part{"access", n.policy.Run})
	}
	return parts
}
