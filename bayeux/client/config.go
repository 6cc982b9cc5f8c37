package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/halleycomet/halley/bayeux"
)

// Transport is the name of a way to a server, as it stands in
// supportedConnectionTypes and connectionType.
type Transport string

const (
	WebSocket   Transport = "websocket"
	LongPolling Transport = "long-polling"
)

// Config is what a [Client] is built from. Begin with [DefaultConfig]; a
// client keeps its own copy.
type Config struct {
	// URL is the Bayeux endpoint of the server: http or https, or ws or wss,
	// which mean the same. Required.
	URL string

	// Transports are the ways to try, best first. Default: WebSocket, then
	// long-polling, as CometD's clients have it.
	Transports []Transport

	// HandshakeExt returns the ext object of a handshake. It is called for each
	// handshake, on the goroutine of Run, and must not block. Nil or an empty
	// result: no ext.
	HandshakeExt func() bayeux.RawJSON

	// Header is added to every HTTP request and upgrade. Nil: nothing.
	Header http.Header

	// Dial opens the TCP connections of both transports. Nil: net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// TLS is the configuration of connections to https and wss URLs: the authorities
	// to trust, certificates to show. It is copied, and the server's name comes from
	// the URL unless it is set. Nil: crypto/tls's defaults, the system's authorities.
	TLS *tls.Config

	// Proxy tells the HTTP proxy of a request, as net/http's Transport wants it.
	// Default: the environment's. Nil: none.
	Proxy func(*http.Request) (*url.URL, error)

	// MaxNetworkDelay is how long a reply may take, over and above the time for
	// which the server may hold a /meta/connect; the bound of a dial with its
	// upgrade, and of one write. Default 10 s, as in CometD's JavaScript client.
	MaxNetworkDelay time.Duration

	// BackoffMin and BackoffMax bound the pause after a failure. The n-th failure
	// in a row waits a random time from the upper half of BackoffMin·2^(n-1),
	// at most BackoffMax, so that clients cut off together do not come back
	// together. Default 500 ms and 30 s.
	BackoffMin, BackoffMax time.Duration

	// MaxMessageSize is the largest frame or answer accepted, in bytes. Default 4 MiB.
	MaxMessageSize int64

	// MaxQueue is how many bytes of received messages may wait for OnMessage.
	// A full queue first stops the reading, so that the server's own bound
	// applies; when it stays full for MaxNetworkDelay, the connection is given
	// up with [ErrOverflow]. Default 16 MiB.
	MaxQueue int

	// MaxInFlight is how many batches may wait for their replies; one more fails
	// with [ErrBusy]. Default 1024.
	MaxInFlight int

	// DisconnectTimeout bounds the goodbye when the context of Run ends.
	// Default 2 s.
	DisconnectTimeout time.Duration

	// The callbacks. All run on one goroutine, one after the other, in the order
	// of the events; each may be nil, and may call the methods of the client.

	// OnHandshake gets the reply of each successful handshake: a new session,
	// without subscriptions. The first /meta/connect is sent when it has
	// returned, so that what it sends by Batch comes first, as the join of Oort
	// wants it. A server forgets a session whose first connect is late
	// (CometD: after 10 s), so it must be quick.
	OnHandshake func(Reply)
	// OnConnect tells that the connection stands: after the first /meta/connect
	// of a session, and again after each OnBreak that the session survived.
	OnConnect func()
	// OnBreak tells that the connection broke. The client goes on trying with
	// the same session.
	OnBreak func(error)
	// OnRetry tells of each failed attempt that will be followed by another:
	// a dial, a handshake or a /meta/connect. Beside the other callbacks, after
	// them.
	OnRetry func(error)
	// OnDisconnect tells that the session of the last OnHandshake is over; err
	// is nil when the client itself ended it. A new OnHandshake may follow.
	OnDisconnect func(err error)
	// OnMessage gets each message that is no reply. The message is the
	// callback's to keep.
	OnMessage func(*bayeux.Message)

	// Log gets what happens to the connection: a session at Info, breaks at
	// Info, retries at Debug. Nil: nothing is logged.
	Log *zap.Logger
}

// DefaultConfig is a Config with every default filled in, for the server at url.
func DefaultConfig(url string) Config {
	return Config{
		URL:               url,
		Transports:        []Transport{WebSocket, LongPolling},
		Proxy:             http.ProxyFromEnvironment,
		MaxNetworkDelay:   10 * time.Second,
		BackoffMin:        500 * time.Millisecond,
		BackoffMax:        30 * time.Second,
		MaxMessageSize:    4 << 20,
		MaxQueue:          16 << 20,
		MaxInFlight:       1024,
		DisconnectTimeout: 2 * time.Second,
		Log:               zap.NewNop(),
	}
}

// Validate reports all mistakes at once, each with the name of its field.
func (c *Config) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
	if _, _, err := endpoints(c.URL); err != nil {
		errs = append(errs, fmt.Errorf("URL: %w", err))
	}
	if len(c.Transports) == 0 {
		bad("Transports", "empty")
	}
	for i, t := range c.Transports {
		if t != WebSocket && t != LongPolling {
			bad("Transports", "%q is neither %s nor %s", t, WebSocket, LongPolling)
		}
		if slices.Contains(c.Transports[:i], t) {
			bad("Transports", "%q stands twice", t)
		}
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"MaxNetworkDelay", c.MaxNetworkDelay},
		{"BackoffMin", c.BackoffMin},
		{"DisconnectTimeout", c.DisconnectTimeout},
	} {
		if d.value <= 0 {
			bad(d.field, "%v is not positive", d.value)
		}
	}
	if c.BackoffMax < c.BackoffMin {
		bad("BackoffMax", "%v is less than BackoffMin, %v", c.BackoffMax, c.BackoffMin)
	}
	if c.MaxMessageSize <= 0 {
		bad("MaxMessageSize", "%d is not positive", c.MaxMessageSize)
	}
	if c.MaxQueue <= 0 {
		bad("MaxQueue", "%d is not positive", c.MaxQueue)
	}
	if c.MaxInFlight <= 0 {
		bad("MaxInFlight", "%d is not positive", c.MaxInFlight)
	}
	return errors.Join(errs...)
}

// endpoints are the URLs of long-polling and of the WebSocket.
func endpoints(raw string) (poll, socket string, err error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", "", err
	}
	secure := ""
	switch strings.ToLower(u.Scheme) {
	case "http", "ws":
	case "https", "wss":
		secure = "s"
	default:
		return "", "", fmt.Errorf("%q is no http, https, ws or wss URL", raw)
	}
	if u.Hostname() == "" {
		return "", "", fmt.Errorf("%q names no host", raw)
	}
	if u.User != nil {
		return "", "", errors.New("a user name has no place in it")
	}
	u.Fragment, u.RawFragment = "", ""
	u.Scheme = "http" + secure
	poll = u.String()
	u.Scheme = "ws" + secure
	return poll, u.String(), nil
}
