package oort

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"go.uber.org/zap"
)

// Config says how a comet takes part in a cloud. Begin with [DefaultConfig].
type Config struct {
	// URL is this comet's Oort URL: the address of its Bayeux endpoint as the other
	// comets reach it, never that of a balancer ("http://10.0.0.7:8081/cometd").
	// It is the comet's name in the cloud and is compared as an exact string.
	URL string

	// Aliases are other URLs under which comets may contact this one. A handshake
	// made to any URL other than these and URL is refused, since CometD's own check
	// (Oort.isOortHandshake) asks for exact equality too.
	Aliases []string

	// Secret is what all comets of the cloud know (CometD's oort.secret). Required:
	// whoever handshakes without it gets no place in the cloud.
	Secret string

	// Static names comets that do not gossip, by their Oort URLs. Links to them are
	// kept for ever. The comet's own URL among them is left out, so that all comets
	// may share one list.
	Static []string

	// Channels are observed on all comets whether a local client listens or not
	// (CometD's oort.channels). Broadcast channels; patterns are allowed.
	Channels []string

	// MaxLinks bounds the links that this comet opens, and likewise the comets that
	// may be linked to it. Default 1024.
	MaxLinks int

	// ConfirmTimeout bounds how long [Cloud.Confirmed] waits for the other comets.
	// Default 1 s.
	ConfirmTimeout time.Duration

	// JoinRetry is the pause before a join, or a change of subscriptions, that the
	// peer did not take is tried again. Default 1 s, as CometD has it.
	JoinRetry time.Duration

	// MaxNetworkDelay is how long a peer may be late with a reply before the link
	// counts as broken. Default 10 s, as in CometD's clients.
	MaxNetworkDelay time.Duration

	// MinBackoff and MaxBackoff bound the pause before a broken link is tried again;
	// it doubles from one try to the next. Defaults 100 ms and 10 s (CometD's links
	// go from 1 s to 30 s in steps of 1 s).
	MinBackoff, MaxBackoff time.Duration

	// ForgetAfter is how long a comet that was learnt from another comet alone, and
	// not from the configuration or the cluster, is dialled in vain before it is
	// forgotten. It comes back by linking to us. Default 10 min; CometD never forgets.
	ForgetAfter time.Duration

	// Dial opens the TCP connections of the links. Default: a net.Dialer. No HTTP
	// proxy stands between comets, whatever the environment says.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// TLS is the configuration of links to https and wss URLs: the authorities to
	// trust. Nil: those of the system.
	TLS *tls.Config

	// LeaveTimeout bounds the goodbye to the other comets when Run ends. Default 2 s.
	LeaveTimeout time.Duration

	// Log receives what an operator should know. Default: nothing is logged.
	Log *zap.Logger
}

// DefaultConfig returns a Config that needs only URL and Secret.
func DefaultConfig() Config {
	return Config{
		MaxLinks:        1024,
		ConfirmTimeout:  time.Second,
		JoinRetry:       time.Second,
		MaxNetworkDelay: 10 * time.Second,
		MinBackoff:      100 * time.Millisecond,
		MaxBackoff:      10 * time.Second,
		ForgetAfter:     10 * time.Minute,
		LeaveTimeout:    2 * time.Second,
		Log:             zap.NewNop(),
	}
}

// Validate reports everything that is wrong with the configuration, each mistake
// with the name of its setting.
func (c *Config) Validate() error {
	var errs []error
	bad := func(setting, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", setting, fmt.Errorf(format, args...)))
	}
	checkURL := func(setting, u string) {
		if err := checkURL(u); err != nil {
			bad(setting, "%q: %w", u, err)
		}
	}
	checkURL("URL", c.URL)
	for _, u := range c.Aliases {
		checkURL("Aliases", u)
	}
	for _, u := range c.Static {
		checkURL("Static", u)
	}
	for _, ch := range c.Channels {
		switch {
		case !bayeux.ValidChannel(ch):
			bad("Channels", "%q is no channel name", ch)
		case !observable(ch):
			bad("Channels", "%q cannot be observed: not a broadcast channel, or the cloud's own", ch)
		}
	}
	if c.Secret == "" {
		bad("Secret", "missing")
	}
	if c.MaxLinks < 1 {
		bad("MaxLinks", "%d is less than 1", c.MaxLinks)
	}
	if n := len(c.Static); c.MaxLinks >= 1 && n > c.MaxLinks {
		bad("Static", "%d comets are more than MaxLinks, %d", n, c.MaxLinks)
	}
	for _, d := range []struct {
		setting string
		value   time.Duration
	}{
		{"ConfirmTimeout", c.ConfirmTimeout}, {"JoinRetry", c.JoinRetry}, {"MaxNetworkDelay", c.MaxNetworkDelay},
		{"MinBackoff", c.MinBackoff}, {"ForgetAfter", c.ForgetAfter}, {"LeaveTimeout", c.LeaveTimeout},
	} {
		if d.value <= 0 {
			bad(d.setting, "%v is not positive", d.value)
		}
	}
	if c.MaxBackoff < c.MinBackoff {
		bad("MaxBackoff", "%v is less than MinBackoff, %v", c.MaxBackoff, c.MinBackoff)
	}
	if c.Log == nil {
		bad("Log", "missing")
	}
	return errors.Join(errs...)
}

// maxURLLen is the longest Oort URL accepted, in bytes.
const maxURLLen = 512

var (
	errURLScheme = errors.New("not an http, https, ws or wss URL")
	errURLHost   = errors.New("no host")
	errURLExtra  = errors.New("has user information, a query or a fragment")
	errURLLong   = fmt.Errorf("longer than %d bytes", maxURLLen)
)

// checkURL decides whether u may be an Oort URL. CometD asks for a scheme and a
// host; we also leave out what no Bayeux endpoint has.
func checkURL(u string) error {
	if len(u) > maxURLLen {
		return errURLLong
	}
	p, err := url.Parse(u)
	if err != nil {
		return err
	}
	switch p.Scheme {
	case "http", "https", "ws", "wss":
	default:
		return errURLScheme
	}
	if p.Hostname() == "" {
		return errURLHost
	}
	if p.User != nil || p.RawQuery != "" || p.ForceQuery || p.Fragment != "" {
		return errURLExtra
	}
	return nil
}
