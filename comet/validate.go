package comet

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/origins"
	"github.com/halleycomet/halley/internal/sticky"
)

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
	if c.WebSocketIdleTimeout <= c.Timeout {
		bad("ws-idle-timeout", "%v does not exceed timeout %v", c.WebSocketIdleTimeout, c.Timeout)
	}
	if c.MaxProcessing > 0 && c.MaxProcessing <= c.Timeout {
		bad("max-processing", "%v does not exceed timeout %v: healthy clients would be cut", c.MaxProcessing, c.Timeout)
	}
	c.validateTransports(bad)
	for _, n := range []struct {
		setting    string
		value, min int
	}{
		{"max-message-size", c.MaxMessageSize, 512}, {"max-queue", c.MaxQueue, 1},
		{"max-queue-bytes", c.MaxQueueBytes, c.MaxMessageSize}, {"peer-queue-factor", c.PeerQueueFactor, 1},
		{"max-total-queue-bytes", c.MaxTotalQueueBytes, c.MaxQueueBytes}, {"max-sessions", c.MaxSessions, 0},
		{"max-subscriptions", c.MaxSubscriptions, 0}, {"max-channels", c.MaxChannels, 0},
		{"drain-rate", c.DrainRate, 1}, {"max-session-calls", c.MaxSessionCalls, 1}, {"max-calls", c.MaxCalls, 1},
	} {
		if n.value < n.min {
			bad(n.setting, "%d is less than %d", n.value, n.min)
		}
	}
	if code := c.DuplicateMetaConnectHTTPResponseCode; code < 400 || code > 599 {
		bad("duplicate-meta-connect-http-response-code", "%d is not between 400 and 599", code)
	}
	if c.FullQueue != FullQueueCut && c.FullQueue != FullQueueDrop {
		bad("full-queue", "%q is neither cut nor drop", c.FullQueue)
	}
	for _, text := range c.LazyChannels {
		if _, _, err := parseLazy(text); err != nil {
			bad("lazy-channels", "%w", err)
		}
	}
	if _, err := origins.Parse(c.Origins); err != nil {
		bad("origins", "%w", err)
	}
	errs = append(errs, c.Cookie.Validate())
	return errors.Join(errs...)
}

func (c *Config) validateTransports(bad func(setting, format string, args ...any)) {
	if len(c.AllowedTransports) == 0 {
		bad("allowed-transports", "is empty: nobody could connect")
	}
	for i, t := range c.AllowedTransports {
		switch {
		case !slices.Contains(transportNames[:], t):
			bad("allowed-transports", "%q is none of websocket, long-polling, callback-polling", t)
		case slices.Contains(c.AllowedTransports[:i], t):
			bad("allowed-transports", "%q is there twice", t)
		}
	}
	if !isToken(c.CallbackParameter) {
		bad("callback-parameter", "%q is not the name of a parameter", c.CallbackParameter)
	}
	if n := c.CallbackParameterMaxLength; n < 1 || n > bayeux.MaxCallbackLen {
		bad("callback-parameter-max-length", "%d is not between 1 and %d", n, bayeux.MaxCallbackLen)
	}
	if c.WebSocketProtocol != "" && !isToken(c.WebSocketProtocol) {
		bad("ws-protocol", "%q is not the name of a subprotocol", c.WebSocketProtocol)
	}
}

// isToken tells whether text is made of letters, digits, dots, dashes and underscores.
func isToken(text string) bool { return bayeux.ValidCallback(text) }
