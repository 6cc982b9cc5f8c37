package tlsfiles

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/internal/reread"
)

// File is one thing that is read again when its file, or its files, change. It has a
// name for the metrics: that of the file.
type File struct {
	name    string
	files   *reread.Files
	expires func() time.Time // nil: it does not
}

// Set is several certificates, of which the name that a client asks for chooses one.
type Set struct {
	pairs []*Pair
	names []string
}

// LoadSet reads certificates and their keys, in the same order.
func LoadSet(certFiles, keyFiles []string) (*Set, error) {
	if len(certFiles) != len(keyFiles) {
		return nil, fmt.Errorf("there are %d certificates and %d keys", len(certFiles), len(keyFiles))
	}
	if len(certFiles) == 0 {
		return nil, errors.New("there is no certificate")
	}
	s := &Set{names: certFiles}
	var errs []error
	for i := range certFiles {
		p, err := Load(certFiles[i], keyFiles[i])
		errs = append(errs, err)
		s.pairs = append(s.pairs, p)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// CheckSet says what is wrong with two settings that list certificates and their keys.
func CheckSet(certFiles, keyFiles []string) (certErr, keyErr error) {
	switch {
	case len(certFiles) > len(keyFiles):
		return nil, fmt.Errorf("lists %d keys for %d certificates", len(keyFiles), len(certFiles))
	case len(certFiles) < len(keyFiles):
		return fmt.Errorf("lists %d certificates for %d keys", len(certFiles), len(keyFiles)), nil
	case len(certFiles) == 0:
		return nil, nil
	}
	_, err := LoadSet(certFiles, keyFiles)
	return err, nil
}

// Certificate chooses for a client: the first that has the name which it asks for,
// and a key that it understands; else the first of all.
func (s *Set) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if len(s.pairs) > 1 {
		for _, p := range s.pairs {
			if cert := p.current.Load(); hello.SupportsCertificate(cert) == nil {
				return cert, nil
			}
		}
	}
	return s.pairs[0].current.Load(), nil
}

// Files are what there is to read again.
func (s *Set) Files() []*File {
	var files []*File
	for i, p := range s.pairs {
		files = append(files, p.File(s.names[i]))
	}
	return files
}

// File is the pair as something to read again, under a name.
func (p *Pair) File(name string) *File {
	return &File{name: name, files: p.files, expires: p.Expires}
}

// Authorities are those of a PEM file, in the state of the file.
type Authorities struct {
	name    string
	files   *reread.Files
	current atomic.Pointer[x509.CertPool]
}

// LoadAuthorities reads them.
func LoadAuthorities(file string) (*Authorities, error) {
	a := &Authorities{name: file}
	a.files = reread.New(func(contents [][]byte) error {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(contents[0]) {
			return errors.New("holds no certificate in PEM")
		}
		a.current.Store(pool)
		return nil
	}, file)
	if err := a.files.Load(); err != nil {
		return nil, err
	}
	return a, nil
}

// Pool is the authorities as they are now. It changes as a whole, never in itself.
func (a *Authorities) Pool() *x509.CertPool { return a.current.Load() }

// File is what there is to read again.
func (a *Authorities) File() *File { return &File{name: a.name, files: a.files} }

// RunAll keeps all of them in step with their files until ctx ends.
func RunAll(ctx context.Context, files []*File, log *zap.Logger) {
	var all sync.WaitGroup
	for _, f := range files {
		all.Go(func() { f.files.Run(ctx, Period, log) })
	}
	all.Wait()
}

var (
	fileExpiry = prometheus.NewDesc("halley_tls_certificate_expiry_timestamp_seconds",
		"When a certificate expires, in seconds since 1970.", []string{"file"}, nil)
	fileReloads = prometheus.NewDesc("halley_tls_reloads_total",
		"Changed files of certificates and authorities, by whether they could be used.", []string{"file", "result"}, nil)
)

// FilesCollector has the metrics of several files, by their names.
func FilesCollector(files []*File) prometheus.Collector { return filesCollector{files} }

type filesCollector struct{ files []*File }

// Describe is for prometheus.
func (c filesCollector) Describe(out chan<- *prometheus.Desc) {
	out <- fileExpiry
	out <- fileReloads
}

// Collect is for prometheus.
func (c filesCollector) Collect(out chan<- prometheus.Metric) {
	seen := make(map[string]bool)
	for _, f := range c.files {
		if seen[f.name] {
			continue // one file in two places is counted once
		}
		seen[f.name] = true
		ok, failed := f.files.Counts()
		if f.expires != nil {
			out <- prometheus.MustNewConstMetric(fileExpiry, prometheus.GaugeValue, float64(f.expires().Unix()), f.name)
		}
		out <- prometheus.MustNewConstMetric(fileReloads, prometheus.CounterValue, float64(ok), f.name, "ok")
		out <- prometheus.MustNewConstMetric(fileReloads, prometheus.CounterValue, float64(failed), f.name, "failed")
	}
}
