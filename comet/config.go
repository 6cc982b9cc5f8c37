package comet

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/origins"
	"github.com/halleycomet/halley/internal/sticky"
)

// Config is what a comet is made from. Begin with [DefaultConfig]; it is not
// read again after [New]. Names in brackets are those of the settings, which
// [Config.Validate] uses in its complaints.
type Config struct {
	// Name [name] is the comet's stable name. The cookies it mints carry a tag
	// made from it, so it must differ between the comets of one cloud and stay
	// the same when the comet is started again. Needed; no default.
	Name string

	// Tag is the tag of this incarnation, with which every clientId begins. By
	// default it is drawn at random by New; give it only to announce the same
	// one elsewhere (the cluster does).
	Tag sticky.Tag

	// Path [path] is the prefix under which Bayeux is spoken: any path at or
	// below it is the same endpoint. Default "/cometd".
	Path string

	// Timeout [timeout] is how long a /meta/connect is held. A client may ask
	// for less, not for more. Default 20 s, as CometD 8.
	Timeout time.Duration

	// Interval [interval] is the pause that clients are advised to make between
	// the answer to a /meta/connect and the next. Default 0.
	Interval time.Duration

	// MaxInterval [max-interval] is how long a session without a connect lives
	// beyond Interval; after that it expires. Default 10 s, as CometD.
	MaxInterval time.Duration

	// HandshakeReconnect [handshake-reconnect] puts maxInterval into the advice,
	// with which clients that were away too long handshake by themselves. Off by
	// default, as in CometD.
	HandshakeReconnect bool

	// SweepPeriod [sweep-period] is how often expired sessions are looked for.
	// Default 997 ms, as CometD.
	SweepPeriod time.Duration

	// MaxMessageSize [max-message-size] bounds the body of a request, the
	// message parameters of a GET, and a WebSocket message, also when it is
	// decompressed. Bytes; default 64 KiB.
	MaxMessageSize int

	// MaxQueue [max-queue] and MaxQueueBytes [max-queue-bytes] bound what waits
	// for one session, in messages and in bytes. A session over either limit is
	// cut: its client learns with 402 that it missed something, which a gap in
	// the stream would not tell it. Default 5000 and 4 MiB. (CometD has no
	// limit unless a listener enforces one.)
	MaxQueue      int
	MaxQueueBytes int

	// PeerQueueFactor [peer-queue-factor] is by how much both limits are larger
	// for the sessions of other comets, which carry the traffic of many clients.
	// Default 16.
	PeerQueueFactor int

	// DuplicateConnectStatus [duplicate-connect-status] is the HTTP status of a
	// held /meta/connect that a newer one of the same session replaced. Default
	// 500, at least 400: CometD's duplicateMetaConnectHttpResponseCode.
	DuplicateConnectStatus int

	// Origins [origins] are the web origins that may use this comet, over HTTP
	// and WebSocket alike: "https://a.example", "https://*.a.example", or "*"
	// for any. Empty, the default: those whose host is that of the Host header.
	Origins []string

	// Cookie holds the name and attributes of the cookie that pins a browser.
	Cookie bayeux.Cookie

	// Compression [compression] lets WebSocket clients negotiate
	// permessage-deflate; only large frames are compressed then. Default on.
	Compression bool

	// WriteTimeout [write-timeout] is the time in which a client must take what is
	// written to it, or 64 KiB of that; otherwise its connection is closed. The
	// session and its queue stay, for the next connection. Over HTTP it does not run
	// while a connect is held. Default 10 s.
	WriteTimeout time.Duration

	// SocketIdleTimeout [socket-idle-timeout] closes a WebSocket on which nothing
	// came in for so long. Default 5 minutes, as Jetty under CometD; it must
	// exceed Timeout.
	SocketIdleTimeout time.Duration

	// ReadTimeout [read-timeout] is how long a request may take to come in, and
	// IdleTimeout [idle-timeout] how long a connection is kept between requests.
	// Both are used by FasthttpServer only. Default 30 s and 2 minutes.
	ReadTimeout time.Duration
	IdleTimeout time.Duration

	// DrainRate [drain-rate] is how many sessions a second are sent away, at least,
	// when the comet leaves in order. Default 1000.
	DrainRate int

	// ShutdownTimeout [shutdown-timeout] bounds the end of Run: how long it waits
	// for sockets to take what is queued for them. Default 5 s.
	ShutdownTimeout time.Duration

	// RequestHeaders [request-headers] are the headers of HTTP requests and of the
	// upgrades of WebSockets that callbacks can read, see [Message.Header]. They are
	// kept for as long as a socket is open, if a callback is registered when it is
	// opened. Default Authorization and Cookie.
	RequestHeaders []string

	// CallTimeout [call-timeout] is how long a remote call may take; then its caller
	// gets an error, and its context ends. Default 30 s.
	CallTimeout time.Duration

	// MaxSessionCalls [max-session-calls] and MaxCalls [max-calls] bound the remote
	// calls that run at once, for one session and for all. One more is refused with
	// 503::too_many_calls. Default 32 and 1024.
	MaxSessionCalls int
	MaxCalls        int

	// Log gets what an operator should know. Default: nothing is logged.
	Log *zap.Logger
}

// DefaultConfig is a configuration that lacks only its Name.
func DefaultConfig() Config {
	return Config{
		Path:                   "/cometd",
		Timeout:                20 * time.Second,
		MaxInterval:            10 * time.Second,
		SweepPeriod:            997 * time.Millisecond,
		MaxMessageSize:         64 << 10,
		MaxQueue:               5000,
		MaxQueueBytes:          4 << 20,
		PeerQueueFactor:        16,
		DuplicateConnectStatus: 500,
		Cookie:                 bayeux.DefaultCookie(),
		Compression:            true,
		WriteTimeout:           10 * time.Second,
		SocketIdleTimeout:      5 * time.Minute,
		ReadTimeout:            30 * time.Second,
		IdleTimeout:            2 * time.Minute,
		DrainRate:              1000,
		ShutdownTimeout:        5 * time.Second,
		RequestHeaders:         []string{"Authorization", "Cookie"},
		CallTimeout:            30 * time.Second,
		MaxSessionCalls:        32,
		MaxCalls:               1024,
	}
}

// Validate reports all mistakes at once, each beginning with its setting.
func (c *Config) Validate() error {
	var errs []error
	bad := func(setting, format string, args ...any) {
		errs = append(errs, fmt.Errorf(setting+": "+format, args...))
	}
	if c.Name == "" {
		bad("name", "is missing")
	}
	if c.Tag != "" && !c.Tag.Valid() {
		bad("tag", "%q is not %d letters and digits", c.Tag, sticky.TagLen)
	}
	if !strings.HasPrefix(c.Path, "/") || c.Path != "/" && strings.HasSuffix(c.Path, "/") || strings.ContainsAny(c.Path, "?#% ") {
		bad("path", "%q is not a path like /cometd", c.Path)
	}
	for _, d := range []struct {
		setting string
		value   time.Duration
	}{
		{"timeout", c.Timeout}, {"max-interval", c.MaxInterval}, {"sweep-period", c.SweepPeriod},
		{"write-timeout", c.WriteTimeout}, {"read-timeout", c.ReadTimeout}, {"idle-timeout", c.IdleTimeout},
		{"shutdown-timeout", c.ShutdownTimeout}, {"call-timeout", c.CallTimeout},
	} {
		if d.value < time.Millisecond {
			bad(d.setting, "%v is less than a millisecond", d.value)
		}
	}
	if c.Interval < 0 {
		bad("interval", "%v is negative", c.Interval)
	}
	if c.SocketIdleTimeout <= c.Timeout {
		bad("socket-idle-timeout", "%v does not exceed timeout %v", c.SocketIdleTimeout, c.Timeout)
	}
	for _, n := range []struct {
		setting    string
		value, min int
	}{
		{"max-message-size", c.MaxMessageSize, 512}, {"max-queue", c.MaxQueue, 1},
		{"max-queue-bytes", c.MaxQueueBytes, c.MaxMessageSize}, {"peer-queue-factor", c.PeerQueueFactor, 1},
		{"drain-rate", c.DrainRate, 1},
		{"max-session-calls", c.MaxSessionCalls, 1}, {"max-calls", c.MaxCalls, 1},
	} {
		if n.value < n.min {
			bad(n.setting, "%d is less than %d", n.value, n.min)
		}
	}
	if c.DuplicateConnectStatus < 400 || c.DuplicateConnectStatus > 599 {
		bad("duplicate-connect-status", "%d is not between 400 and 599", c.DuplicateConnectStatus)
	}
	if _, err := origins.Parse(c.Origins); err != nil {
		bad("origins", "%w", err)
	}
	errs = append(errs, c.Cookie.Validate())
	return errors.Join(errs...)
}
