package balancer

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// secureConn is the connection of a client that speaks TLS. What the balancer has to
// know of a client's connection is kept by the one that carries it.
type secureConn struct {
	*tls.Conn
	carrier *clientConn
	subject string // of the client's certificate, as a header shows it; empty: it has none
}

// Read notices the end, as that of clientConn does.
func (c *secureConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		c.carrier.ended.Store(true)
	case n > 0 && !c.carrier.spoke.Load():
		c.carrier.spoke.Store(true)
	}
	return n, err
}

// CloseWrite says in TLS, and below, that no more will be written.
func (c *secureConn) CloseWrite() error {
	return errors.Join(c.Conn.CloseWrite(), c.carrier.CloseWrite())
}

// Abort ends the connection at once, without a word that the client might not take.
func (c *secureConn) Abort() {
	_ = c.carrier.SetLinger(0) // what cannot be set leaves it to the kernel
	c.carrier.Close()
}

// clientOf is what the balancer knows of a client's connection; nil of one that is
// none.
func clientOf(conn net.Conn) *clientConn {
	switch c := conn.(type) {
	case *clientConn:
		return c
	case *secureConn:
		return c.carrier
	}
	return nil
}

// How handshakes of TLS end: the label of their metric.
const (
	shakeOK             Reason = "ok"
	shakeTimeout        Reason = "timeout"         // nothing came, or not enough
	shakeClosed         Reason = "closed"          // the client hung up
	shakeNotTLS         Reason = "not_tls"         // it speaks something else, plain HTTP as a rule
	shakeAlert          Reason = "alert"           // it refuses our certificate, or what else we offer
	shakeNoCertificate  Reason = "no_certificate"  // it has none, and must
	shakeBadCertificate Reason = "bad_certificate" // its certificate is not trusted
	shakeUnsupported    Reason = "unsupported"     // there is no version, suite or protocol in common
	shakeCrowded        Reason = "crowded"         // too many were in their handshake, and it took longest
	shakeFailed         Reason = "failed"          // otherwise
)

// shakeResult tells how a handshake ended.
func shakeResult(err error) Reason {
	var timeout net.Error
	var record tls.RecordHeaderError
	var said *net.OpError
	var untrusted *tls.CertificateVerificationError
	switch {
	case err == nil:
		return shakeOK
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return shakeTimeout
	case errors.As(err, &record):
		return shakeNotTLS
	case errors.As(err, &untrusted):
		return shakeBadCertificate
	case errors.As(err, &said) && said.Op == "remote error":
		return shakeAlert
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return shakeClosed
	}
	// crypto/tls has no types for these; a test notices when it words them anew.
	switch text := err.Error(); {
	case strings.Contains(text, "bad record MAC"): // OpenSSL's clients send such an alert of TLS 1.3 in clear
		return shakeAlert
	case strings.Contains(text, "client didn't provide a certificate"):
		return shakeNoCertificate
	case strings.Contains(text, "unsupported"), strings.Contains(text, "no cipher suite"), strings.Contains(text, "no mutually"):
		return shakeUnsupported
	}
	return shakeFailed
}

// secure shakes hands with a client.
func (b *Balancer) secure(c *clientConn, cfg *tls.Config) (net.Conn, error) {
	c.SetDeadline(time.Now().Add(b.conf().TLS.HandshakeTimeout))
	conn := &secureConn{Conn: tls.Server(c, cfg), carrier: c}
	err := conn.Handshake()
	b.entries.handshakes.WithLabelValues(string(shakeResult(err))).Inc()
	if err != nil {
		var record tls.RecordHeaderError
		if errors.As(err, &record) && speaksHTTP(record.RecordHeader[:]) {
			_, _ = io.WriteString(c, wrongScheme) // whoever does not take it is gone
		}
		return nil, err
	}
	if chain := conn.ConnectionState().PeerCertificates; len(chain) > 0 {
		conn.subject = subjectOf(chain[0])
	}
	c.SetDeadline(time.Time{})
	c.late.Store(b.isStopping())
	c.spoke.Store(false) // the handshake is no request
	return conn, nil
}

// wrongScheme is what a client is told that speaks plain HTTP where TLS is spoken.
const wrongScheme = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain;charset=UTF-8\r\nConnection: close\r\nContent-Length: 27\r\n\r\nthis address speaks https.\n"

func speaksHTTP(begin []byte) bool {
	for _, method := range []string{"GET /", "POST ", "HEAD ", "OPTIO", "PUT /", "DELET"} {
		if strings.HasPrefix(string(begin), method) {
			return true
		}
	}
	return false
}
