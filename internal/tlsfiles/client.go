package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"sync"
)

// Dialer is the TLS of those who dial servers, in the state of its files.
type Dialer struct {
	// Fixed after construction.
	authorities *Authorities // nil: those of the system
	pair        *Pair        // nil: no certificate is shown
	pairName    string
	serverName  string // empty: the host that is dialled
	insecure    bool

	mu sync.Mutex
	// Guarded by mu.
	pool    *x509.CertPool // with which current was made
	current *tls.Config
}

// DialerFiles says what a [Dialer] is made of; everything may be left out.
type DialerFiles struct {
	CAFile            string // the authorities that are trusted; empty: those of the system
	CertFile, KeyFile string // what is shown to servers that ask for a certificate
	ServerName        string // what certificates must be for; empty: the host that is dialled
	Insecure          bool   // no certificate is verified
}

// LoadDialer reads the files.
func LoadDialer(f DialerFiles) (*Dialer, error) {
	d := &Dialer{serverName: f.ServerName, insecure: f.Insecure, pairName: f.CertFile}
	var err error
	if f.CAFile != "" {
		if d.authorities, err = LoadAuthorities(f.CAFile); err != nil {
			return nil, err
		}
	}
	if (f.CertFile == "") != (f.KeyFile == "") {
		return nil, errors.New("a certificate needs a key, and a key a certificate")
	}
	if f.CertFile != "" {
		if d.pair, err = Load(f.CertFile, f.KeyFile); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Config is the configuration for a connection to a host. Sessions are resumed for as
// long as the authorities stay the same.
func (d *Dialer) Config(host string) *tls.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	var pool *x509.CertPool
	if d.authorities != nil {
		pool = d.authorities.Pool()
	}
	if d.current == nil || pool != d.pool {
		d.pool = pool
		d.current = &tls.Config{
			MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, RootCAs: pool,
			InsecureSkipVerify: d.insecure, //nolint:gosec // only where it was asked for by name
			ClientSessionCache: tls.NewLRUClientSessionCache(1024),
		}
		if d.pair != nil {
			d.current.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return d.pair.current.Load(), nil
			}
		}
	}
	cfg := d.current.Clone()
	if cfg.ServerName = d.serverName; cfg.ServerName == "" {
		cfg.ServerName = host
	}
	return cfg
}

// Files are what there is to read again.
func (d *Dialer) Files() []*File {
	var files []*File
	if d.authorities != nil {
		files = append(files, d.authorities.File())
	}
	if d.pair != nil {
		files = append(files, d.pair.File(d.pairName))
	}
	return files
}
