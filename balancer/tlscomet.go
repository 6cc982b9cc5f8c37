package balancer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"

	"github.com/halleycomet/halley/internal/tlsfiles"
)

// CometTLS is how comets are reached whose URL is https: TLS 1.2 or 1.3, with
// certificates that are verified. Its files are not named anew by a reload, but they
// are read again when they change.
type CometTLS struct {
	// CAFile names the authorities (PEM) that sign the certificates of comets. Default:
	// those of the system.
	CAFile string `setting:"comet-ca" reload:"restart"`

	// CertFile and KeyFile name the certificate (PEM) that comets are shown when they
	// ask for one, and its key. Default none.
	CertFile string `setting:"comet-cert" reload:"restart"`
	KeyFile  string `setting:"comet-key" reload:"restart"`

	// ServerName is the name for which the certificates of comets must be, where it is
	// not the host of their URL: all may have one certificate. Default the host.
	ServerName string `setting:"comet-server-name" reload:"restart"`

	// Insecure takes every certificate for good, so that whoever can get between the
	// balancer and a comet can read and change everything. For trials. Default false.
	Insecure bool `setting:"comet-insecure" reload:"restart"`
}

func (t *CometTLS) files() tlsfiles.DialerFiles {
	return tlsfiles.DialerFiles{CAFile: t.CAFile, CertFile: t.CertFile, KeyFile: t.KeyFile, ServerName: t.ServerName, Insecure: t.Insecure}
}

func (t *CometTLS) validate() error {
	var errs []error
	bad := func(setting string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf(setting+": %w", err))
		}
	}
	if t.CAFile != "" {
		_, err := tlsfiles.LoadAuthorities(t.CAFile)
		bad("comet-ca", err)
	}
	certErr, keyErr := tlsfiles.Check(t.CertFile, t.KeyFile)
	bad("comet-cert", certErr)
	bad("comet-key", keyErr)
	if t.Insecure && t.CAFile != "" {
		bad("comet-insecure", errors.New("has the authorities of comet-ca ignored: give one of the two"))
	}
	return errors.Join(errs...)
}

// connector makes the connections to comets.
type connector struct {
	tls   *tlsfiles.Dialer
	proxy ProxyVersion // what each begins with
}

// opened is a new connection to a comet, and what is to be known of it to tell later
// whether a request can have arrived.
type opened struct {
	conn  net.Conn
	sock  syscall.RawConn // of the socket that carries it; nil when it is none
	ferry *ferry          // nil without TLS
	acked uint64          // what was acknowledged before anything was written
	known bool
	sent  uint64 // bytes written so far, without TLS
}

// open dials, says for whom the connection is where comets are told, and, when it is
// named for which host the certificate must be, shakes hands; all until ctx ends.
func (k *connector) open(ctx context.Context, addr, certName string, from origin) (o opened, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return o, err
	}
	o.conn = conn
	if sys, ok := conn.(syscall.Conn); ok {
		if o.sock, err = sys.SyscallConn(); err == nil {
			o.acked, o.known = bytesAcked(o.sock)
		}
	}
	if k.proxy != ProxyOff {
		if o.sent, err = tellOrigin(ctx, conn, k.proxy, from); err != nil {
			conn.Close()
			return o, fmt.Errorf("PROXY header to %s: %w", addr, err)
		}
	}
	if certName == "" {
		return o, nil
	}
	o.ferry = &ferry{Conn: conn}
	o.ferry.written.Store(o.sent)
	over := tls.Client(o.ferry, k.tls.Config(certName))
	if err := over.HandshakeContext(ctx); err != nil {
		conn.Close()
		return o, fmt.Errorf("TLS with %s: %w", addr, err)
	}
	o.conn = over
	return o, nil
}

// ferry is what carries a connection of TLS to a comet. It counts what is handed to
// the kernel: of that, and not of what is in it, TCP tells what has arrived. Whoever
// did not get the whole of the first record of a request has read nothing of it.
type ferry struct {
	net.Conn
	written atomic.Uint64
}

func (c *ferry) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(uint64(n))
	return n, err
}
