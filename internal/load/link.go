package load

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"time"
)

// link is one connection to the server, over which requests (arrays of messages)
// go out and answers come in.
type link interface {
	// send writes a request.
	send(request []byte) error
	// receive waits for the next answer or frame. The caller gives it back to release.
	receive() (*[]byte, error)
	// deadline ends receive with an error.
	deadline(time.Time)
	// duplex says whether send may be called by others while receive waits, and
	// whether frames come without having been asked for.
	duplex() bool
	close()
}

// texts holds buffers for what is read: a client has one only while something has come.
var texts = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

func release(text *[]byte) {
	if cap(*text) <= 1<<20 {
		texts.Put(text)
	}
}

// maxAnswer bounds one answer or frame.
const maxAnswer = 64 << 20

// dialer opens the connections of a run.
type dialer struct {
	target  *url.URL
	trust   *tls.Config
	token   string // for the header Authorization, if any
	timeout time.Duration
	spread  bool // clients have addresses of their own
	frozen  int  // the first client that will read nothing
}

// from dials for a client.
func (d *dialer) from(ctx context.Context, client int) (net.Conn, error) {
	nd := net.Dialer{Timeout: d.timeout}
	if d.spread {
		nd.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(localAddress(client), 0))
	}
	port := d.target.Port()
	if port == "" {
		port = map[bool]string{true: "443", false: "80"}[d.secure()]
	}
	conn, err := nd.DialContext(ctx, "tcp", net.JoinHostPort(d.target.Hostname(), port))
	if err != nil {
		return nil, err
	}
	if client >= d.frozen {
		if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			conn.Close()
			return nil, err
		}
	}
	if !d.secure() {
		return conn, nil
	}
	c := tls.Client(conn, d.trust)
	hctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	if err := c.HandshakeContext(hctx); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// trusting is the configuration of TLS for a server.
func trusting(cfg *tls.Config, target *url.URL) *tls.Config {
	if cfg = cfg.Clone(); cfg == nil {
		cfg = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	cfg.ServerName = target.Hostname()
	return cfg
}

func (d *dialer) secure() bool { return d.target.Scheme == "https" || d.target.Scheme == "wss" }

// open opens a link for a client.
func (d *dialer) open(ctx context.Context, t Transport, client int) (link, error) {
	if t == WebSocket {
		return d.socket(ctx, client)
	}
	return d.poll(ctx, client), nil
}
