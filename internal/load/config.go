package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"
)

// Transport is how clients and publishers are connected.
type Transport string

// The transports, by their Bayeux names.
const (
	WebSocket   Transport = "websocket"
	LongPolling Transport = "long-polling"
)

// Config says what a run does. Begin with [DefaultConfig]; names in brackets are
// those of the settings of `comet load`.
type Config struct {
	// URL is the server's, with the path under which it speaks Bayeux: http, https, ws
	// or wss. No default.
	URL string

	// TLS [ca-file] has the authorities to trust, for https and wss. Default: those of
	// the system.
	TLS *tls.Config

	// Token is shown with every connection, as Authorization: Bearer. Default: none is.
	Token string

	// Transport [transport] of clients and publishers. Default WebSocket.
	Transport Transport

	// Clients [clients] is how many subscribe. Default 100.
	Clients int

	// Frozen [frozen] is how many more clients come and subscribe, and from then on read
	// nothing. Before the load begins they alone are sent 8 MiB, which no connection holds: what
	// follows waits in the server, as long as that keeps them. What they miss is not
	// counted: they show what they do to the others. Default 0.
	Frozen int

	// Rooms [rooms] is over how many channels they are spread. Default 1.
	Rooms int

	// Publishers [publishers] is how many sessions publish; room I has publisher I
	// modulo their number, so more than there are rooms would be idle. Default 1.
	Publishers int

	// Rate [rate] is how many messages a second are published in all, over the rooms in
	// turn. Default 10.
	Rate float64

	// Window [window] publishes in a closed loop instead: so many messages of each
	// room may be on their way. Default 0, which is by rate.
	Window int

	// Size [size] is the length of a message's data as JSON. Bytes, at least 64;
	// default 100.
	Size int

	// Duration [duration] is how long it is measured. 0 publishes nothing beyond the
	// waves: the clients then only wait. Default 10 s.
	Duration time.Duration

	// WarmUp [warm-up] is how long is published before that. Default 2 s.
	WarmUp time.Duration

	// Waves [waves] is how often, before that, one message goes to all clients at
	// once, after which the memory is read. Default 0.
	Waves int

	// Settle [settle] is how long nothing moves when all are in, and before the memory is
	// read after a wave. Default 2 s.
	Settle time.Duration

	// AtOnce [at-once] is how many clients open their sessions at the same time.
	// Default 50.
	AtOnce int

	// Timeout [timeout] is how long an answer may take beyond the time for which
	// the server was asked to wait, how long a wave may take, and how long a message in a
	// closed loop is waited for. Default 10 s.
	Timeout time.Duration

	// PID [pid] is the server's process, whose memory and processor time are read. 0,
	// the default, reads none. Linux only.
	PID int

	// Log is told in a line what goes on, at the begin of each phase. Nil: nobody is.
	Log func(line string)
}

// DefaultConfig lacks only the URL.
func DefaultConfig() Config {
	return Config{
		Transport:  WebSocket,
		Clients:    100,
		Rooms:      1,
		Publishers: 1,
		Rate:       10,
		Size:       100,
		Duration:   10 * time.Second,
		WarmUp:     2 * time.Second,
		Settle:     2 * time.Second,
		AtOnce:     50,
		Timeout:    10 * time.Second,
	}
}

// minSize holds the longest mark of a message.
const minSize = 64

// maxCount bounds counts of clients and rooms, by the addresses of 127.0.0.0/8 that are used.
const maxCount = 1 << 20

// Validate reports all mistakes at once, each beginning with its setting. The URL
// is checked by [Run]: it is no setting.
func (c *Config) Validate() error {
	var errs []error
	bad := func(setting, format string, args ...any) {
		errs = append(errs, fmt.Errorf(setting+": "+format, args...))
	}
	count := func(setting string, n, least, most int) {
		if n < least || n > most {
			bad(setting, "%d is not from %d to %d", n, least, most)
		}
	}
	period := func(setting string, d, least time.Duration) {
		if d < least || d > 24*time.Hour {
			bad(setting, "%v is not from %v to 24h", d, least)
		}
	}
	if c.Transport != WebSocket && c.Transport != LongPolling {
		bad("transport", "%q is none of %s, %s", c.Transport, WebSocket, LongPolling)
	}
	count("clients", c.Clients, 1, maxCount)
	count("frozen", c.Frozen, 0, 10_000)
	count("rooms", c.Rooms, 1, max(1, c.Clients))
	count("publishers", c.Publishers, 1, max(1, c.Rooms))
	if c.Rate <= 0 || c.Rate > 1e6 {
		bad("rate", "%v is not above 0 and up to 1000000", c.Rate)
	}
	count("window", c.Window, 0, 1<<16)
	count("size", c.Size, minSize, 1<<24)
	period("duration", c.Duration, 0)
	period("warm-up", c.WarmUp, 0)
	count("waves", c.Waves, 0, 1000)
	period("settle", c.Settle, 0)
	count("at-once", c.AtOnce, 1, 10_000)
	period("timeout", c.Timeout, time.Millisecond)
	if c.PID < 0 {
		bad("pid", "%d is no process", c.PID)
	}
	return errors.Join(errs...)
}

// ErrURL means that the URL names no Bayeux server.
var ErrURL = errors.New("no URL like http://host:port/cometd")

// target parses the URL.
func (c *Config) target() (*url.URL, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https", "ws", "wss"}, u.Scheme) {
		return nil, fmt.Errorf("%q is %w", c.URL, ErrURL)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}
