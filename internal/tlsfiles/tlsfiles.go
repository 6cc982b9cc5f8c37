// Package tlsfiles makes TLS settings of PEM files, for a listener and for those who
// dial it.
//
// A [Pair] is the certificate of a listener and its key. It is looked at every
// [Period] and, when it was replaced, used for the connections that come from then
// on; those that stand are left alone. A pair that is broken or does not match leaves
// the former in use, is logged once and counted (see package reread).
//
// TLS 1.2 is the least that is spoken, and HTTP/1.1 is what is spoken over it: both
// programs have no HTTP/2.
//
// Nothing here starts a goroutine; [Pair.Run] works in that of its caller.
package tlsfiles

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/internal/reread"
)

// Period is how often the files are looked at.
const Period = 5 * time.Second

// Pair is a certificate with its key, in the state of its files. Its methods may be
// called from any goroutine.
type Pair struct {
	files   *reread.Files
	current atomic.Pointer[tls.Certificate]
}

// Load reads a certificate (PEM, the leaf first, then those between it and the root)
// and its key. Both may be the same file.
func Load(certFile, keyFile string) (*Pair, error) {
	p := &Pair{}
	p.files = reread.New(p.use, certFile, keyFile)
	if err := p.files.Load(); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return p, nil
}

func (p *Pair) use(contents [][]byte) error {
	cert, err := tls.X509KeyPair(contents[0], contents[1])
	if err != nil {
		return err
	}
	p.current.Store(&cert)
	return nil
}

// Run keeps the pair in step with its files until ctx ends.
func (p *Pair) Run(ctx context.Context, log *zap.Logger) error {
	p.files.Run(ctx, Period, log)
	return nil
}

// Expires is when the certificate that is in use does.
func (p *Pair) Expires() time.Time { return p.current.Load().Leaf.NotAfter }

// Server is the configuration of a listener.
func (p *Pair) Server() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.current.Load(), nil },
	}
}

// Client is the configuration of those who dial and trust the authorities of a PEM
// file, and no others; those of the system where no file is named. The file is read
// once.
func Client(caFile string) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return cfg, nil
	}
	data, err := reread.Read(caFile)
	if err != nil {
		return nil, err
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s: holds no certificate in PEM", caFile)
	}
	return cfg, nil
}

// Check says what is wrong with two settings that name a certificate and its key;
// both may be empty.
func Check(certFile, keyFile string) (certErr, keyErr error) {
	switch {
	case certFile == "" && keyFile == "":
		return nil, nil
	case certFile == "":
		return errors.New("is needed beside the key"), nil
	case keyFile == "":
		return nil, errors.New("is needed beside the certificate")
	}
	_, err := Load(certFile, keyFile)
	return err, nil
}

var (
	expiry = prometheus.NewDesc("halley_tls_certificate_expiry_timestamp_seconds",
		"When the certificate of the listener expires, in seconds since 1970.", nil, nil)
	reloads = prometheus.NewDesc("halley_tls_reloads_total",
		"Changed certificate files, by whether they could be used.", []string{"result"}, nil)
)

// Collector has the metrics of the pair.
func (p *Pair) Collector() prometheus.Collector { return collector{p} }

type collector struct{ pair *Pair }

// Describe is for prometheus.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	out <- expiry
	out <- reloads
}

// Collect is for prometheus.
func (c collector) Collect(out chan<- prometheus.Metric) {
	ok, failed := c.pair.files.Counts()
	out <- prometheus.MustNewConstMetric(expiry, prometheus.GaugeValue, float64(c.pair.Expires().Unix()))
	out <- prometheus.MustNewConstMetric(reloads, prometheus.CounterValue, float64(ok), "ok")
	out <- prometheus.MustNewConstMetric(reloads, prometheus.CounterValue, float64(failed), "failed")
}
