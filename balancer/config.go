package balancer

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/discovery"
	"github.com/halleycomet/halley/internal/origins"
	"go.uber.org/zap"
)

// Place says where a new session goes.
type Place string

const (
	// PlaceAuto: by load where the client can be pinned, by IP where it cannot.
	PlaceAuto Place = "auto"
	// PlaceLoad: every handshake that can be pinned goes by load, also one that
	// names eventsource. A cookieless WebSocket upgrade still goes by IP.
	PlaceLoad Place = "load"
	// PlaceIP: every new session goes by the address of its client.
	PlaceIP Place = "ip"
)

// Keys says which keys of stickiness are in use, in their order.
type Keys struct {
	// ClientID routes by the tag in the clientId of a message (own comets only).
	ClientID bool
	// Cookie routes by the tag in the browser cookie, and mints that cookie.
	Cookie bool
	// IP routes what has no other key by the address of the client.
	IP bool
}

// Config is the configuration of a [Balancer]. It is taken by [New], and by
// [Balancer.Reload] while the balancer runs; each field whose change needs a restart
// says so. The names of the settings follow from those of the fields (type setting).
type Config struct {
	// Path is the prefix of the Bayeux endpoint: this path and everything below it.
	// Everything outside is passed on without a look inside. Read at the start only.
	// Default "/cometd".
	Path string `reload:"restart"`

	// Comets lists comets that do not gossip. Each entry is one of
	//
	//	http://host:port           one comet, likewise https
	//	dns://name:port            a comet at each address (A, AAAA) of the name
	//	srv://_service._proto.name a comet at each address of each target of the SRV
	//	                           records, of the lowest priority value first; those
	//	                           of higher ones are backups
	//
	// with dns+https and srv+https for comets that speak TLS, and after it, with blanks
	// between, any of
	//
	//	weight=N    how many clients it gets in proportion to others: 0, which is no
	//	            new ones, to 65535; default 1. SRV records have their own.
	//	backup      it gets new sessions only while no comet that is none takes any
	//	ipv4, ipv6  of a name: addresses of this kind only
	//
	// Comets are named by their normalised URL, those found by name by that with the
	// address in it, so that balancers with the same list agree. One that is listed
	// several times is one comet: the first entry counts, those of the configuration
	// before those of the file. One that is listed and gossips, with the same host and
	// port, is one comet under its gossip name. What is taken off the list is drained.
	// Default none.
	Comets []string

	// Discovery says where else comets are found.
	Discovery Discovery

	// Place says where new sessions go. Default [PlaceAuto].
	Place Place

	// Keys are the keys of stickiness in use. Default all three.
	Keys Keys `setting:"keys"`

	// Routing says more of how a comet is chosen.
	Routing Routing

	// Cookie is the browser cookie that pins a client. Defaults are CometD's.
	Cookie bayeux.Cookie `prefix:"browser-cookie-"`

	// TrustedProxies lists the networks (CIDR, or single addresses) whose
	// X-Forwarded-For is believed: the client is then the rightmost address that is
	// not in these networks. Default none: the client is who is connected.
	TrustedProxies []string

	// TLS is how clients come in over TLS. Default: they do not.
	TLS TLS

	// CometTLS is how comets are reached whose URL is https.
	CometTLS CometTLS

	// ForwardHeaders are the headers by which comets are told of the client:
	// [ForwardFor], [ForwardProto], [ForwardHost], [ForwardPort] and
	// [ForwardForwarded] (RFC 7239). What one of TrustedProxies has written there is
	// kept, or added to; from everybody else these headers, all others that begin with
	// X-Forwarded-, and X-Real-IP are dropped. Default the first three.
	ForwardHeaders []string

	// RequestIDHeader is the header with the id of a request: that which one of
	// TrustedProxies has given it, if it is at most 64 letters, digits or -._~+/=:@, else
	// a new one of 128 random bits. The comet is sent it, the client gets it with the
	// answer, the access log has it. Empty: there are no ids. Default "X-Request-Id".
	RequestIDHeader string

	// Trace says whether a request without a traceparent gets one. Default [TraceOff].
	Trace Trace

	// ProxyProtocol says whether connections begin with the header of the PROXY
	// protocol, by which one of TrustedProxies tells the address of the client. It comes
	// before TLS. Default [ProxyProtocolOff].
	ProxyProtocol ProxyProtocol `reload:"restart"`

	// CometProxyProtocol is the version of the PROXY protocol by which comets are told
	// the address of the client at the beginning of each connection. A connection then
	// belongs to one connection of a client, and serves no other: there are more of them,
	// and more dials. Default [ProxyOff].
	CometProxyProtocol ProxyVersion `reload:"restart"`

	// Origins lists the web origins whose pages may read the balancer's own answers,
	// in the form of the comet's option of the same name. Default empty: pages of
	// the same host only.
	Origins []string

	// Check is what a check asks. Default [CheckConnect], which leaves no trace in the
	// comets; [CheckBayeux] finds more, at the price of a session for each check.
	Check Check

	// CheckPath is what [CheckHTTP] asks for, with its query if there is one. Default "/".
	CheckPath string

	// CheckInterval is the pause between two checks of a comet that is well, give or
	// take a tenth. Default 1 s.
	CheckInterval time.Duration

	// RecheckInterval is the pause between two checks of a comet that is down, or
	// whose last check failed. Default 250 ms.
	RecheckInterval time.Duration

	// CheckTimeout bounds one check, dial and answer together. Default 2 s: a Java
	// comet in a full collection is slow, not dead.
	CheckTimeout time.Duration

	// Fall is the number of failed checks in a row after which a comet is down. A
	// refused connection, or a failed check of a comet that the gossip has given up,
	// needs no second opinion. Default 2.
	Fall int

	// Rise is the number of successful checks in a row after which a comet that was
	// down or suspect is healthy again. One that fails over and over, each time within
	// a minute, has to answer for longer and longer before it gets new sessions: up to
	// a minute. Default 1.
	Rise int

	// Outliers says what requests find out about comets, and how much of the fleet may
	// be left out for it.
	Outliers Outliers

	// HandshakeRate is the number of handshakes per second that one comet takes well.
	// All that take new sessions together get this much each, of handshakes over HTTP
	// and of upgrades of the Bayeux path; what comes faster waits for
	// [Admission.HandshakeWait]. The clients of a dead comet are told to handshake spread
	// over the time that the others need. Default 500.
	HandshakeRate int

	// DrainTime is how long the clients of a comet that drains have to be moved to
	// others. Polls that are held when it begins return by themselves meanwhile, so it
	// should be above the comets' timeout. Shortly before its end those that are still
	// held are broken off. Default 60 s.
	DrainTime time.Duration

	// DrainRate is how many clients a second are moved from a comet that drains; more,
	// if that is what it takes to be done in DrainTime. Default 0: HandshakeRate.
	DrainRate int

	// AccessLog is the file to which a line is written for each request, when it is
	// finished, and for each WebSocket at its end; or stdout, or stderr. A file that was
	// moved away is opened anew. Default empty: none is written.
	AccessLog string `reload:"restart"`

	// AccessLogFormat is how its lines look. Default [AccessLogJSON].
	AccessLogFormat AccessLogFormat `reload:"restart"`

	// StopTime is how long requests under way have to end when the balancer stops.
	// Its WebSockets are closed spread over it, so that their clients do not come back
	// all at once. Default 5 s.
	StopTime time.Duration

	// Admission bounds the pace of new sessions, and what a client may take.
	Admission

	// Limits bound what a request may cost and how long it may take.
	Limits Limits

	// Log receives the balancer's log. Default none.
	Log *zap.Logger
}

// DefaultConfig returns the defaults that the fields name.
func DefaultConfig() Config {
	return Config{
		Path:            "/cometd",
		Place:           PlaceAuto,
		Keys:            Keys{ClientID: true, Cookie: true, IP: true},
		Discovery:       DefaultDiscovery(),
		Routing:         DefaultRouting(),
		Cookie:          bayeux.DefaultCookie(),
		Check:           CheckConnect,
		CheckPath:       "/",
		CheckInterval:   time.Second,
		RecheckInterval: 250 * time.Millisecond,
		CheckTimeout:    2 * time.Second,
		Fall:            2,
		Rise:            1,
		Outliers:        DefaultOutliers(),
		HandshakeRate:   500,
		DrainTime:       time.Minute,
		AccessLogFormat: AccessLogJSON,
		StopTime:        5 * time.Second,
		TLS:             defaultTLS(),
		Admission:       DefaultAdmission(),
		Limits:          DefaultLimits(),
		Log:             zap.NewNop(),

		ForwardHeaders: []string{ForwardFor, ForwardProto, ForwardHost}, RequestIDHeader: "X-Request-Id", Trace: TraceOff,

		ProxyProtocol: ProxyProtocolOff, CometProxyProtocol: ProxyOff,
	}
}

// lists tells whether comets are listed in any form.
func (c *Config) lists() bool { return len(c.Comets) > 0 || c.Discovery.CometsFile != "" }

// Validate reports every mistake, each with the name of its setting.
func (c *Config) Validate() error {
	var errs []error
	bad := func(setting, format string, args ...any) {
		errs = append(errs, fmt.Errorf(setting+": "+format, args...))
	}
	if !strings.HasPrefix(c.Path, "/") || c.Path != "/" && strings.HasSuffix(c.Path, "/") || strings.ContainsAny(c.Path, "?# ") {
		bad("path", "%q is not a path like /cometd", c.Path)
	}
	if _, err := discovery.Parse("comets: ", c.Comets); err != nil {
		errs = append(errs, err)
	}
	switch c.Place {
	case PlaceAuto, PlaceLoad:
	case PlaceIP:
		if !c.Keys.IP {
			bad("place", "ip needs the key ip")
		}
	default:
		bad("place", "%q is none of auto, load, ip", c.Place)
	}
	if c.Routing.LearnSessions > 0 && !c.Keys.ClientID {
		bad("learn-sessions", "needs the key client-id")
	}
	if c.Keys == (Keys{}) {
		bad("keys", "no key is on: no client would find its comet again")
	}
	if _, err := parseProxies(c.TrustedProxies); err != nil {
		bad("trusted-proxies", "%w", err)
	}
	if _, err := parseForwards(c.ForwardHeaders); err != nil {
		bad("forward-headers", "%w", err)
	}
	if err := checkIDHeader(c.RequestIDHeader); err != nil {
		bad("request-id-header", "%q %w", c.RequestIDHeader, err)
	}
	switch c.Trace {
	case TraceOff, TraceOn, TraceSampled:
	default:
		bad("trace", "%q is none of off, on, sampled", c.Trace)
	}
	switch c.ProxyProtocol {
	case ProxyProtocolOff:
	case ProxyProtocolOptional, ProxyProtocolRequired:
		if len(c.TrustedProxies) == 0 {
			bad("proxy-protocol", "nobody may speak it: name the proxies in trusted-proxies")
		}
		if !canPeek {
			bad("proxy-protocol", "is not spoken on this system")
		}
	default:
		bad("proxy-protocol", "%q is none of off, optional, required", c.ProxyProtocol)
	}
	switch c.CometProxyProtocol {
	case ProxyOff, ProxyV1, ProxyV2:
	default:
		bad("comet-proxy-protocol", "%q is none of off, v1, v2", c.CometProxyProtocol)
	}
	if _, err := origins.Parse(c.Origins); err != nil {
		bad("origins", "%w", err)
	}
	switch c.Check {
	case CheckConnect, CheckBayeux, CheckHTTP:
	default:
		bad("check", "%q is none of connect, bayeux, http", c.Check)
	}
	if !strings.HasPrefix(c.CheckPath, "/") || strings.ContainsAny(c.CheckPath, "# ") {
		bad("check-path", "%q is not a path like /health", c.CheckPath)
	}
	for _, d := range []struct {
		setting string
		value   time.Duration
	}{
		{"check-interval", c.CheckInterval},
		{"recheck-interval", c.RecheckInterval},
		{"check-timeout", c.CheckTimeout},
		{"drain-time", c.DrainTime},
		{"stop-time", c.StopTime},
	} {
		if d.value <= 0 {
			bad(d.setting, "%v is not above zero", d.value)
		}
	}
	if c.AccessLogFormat != AccessLogJSON && c.AccessLogFormat != AccessLogCombined {
		bad("access-log-format", "%q is none of json, combined", c.AccessLogFormat)
	}
	if c.DrainRate < 0 {
		bad("drain-rate", "%d is below zero", c.DrainRate)
	}
	for _, n := range []struct {
		setting string
		value   int
	}{
		{"fall", c.Fall},
		{"rise", c.Rise},
		{"handshake-rate", c.HandshakeRate},
	} {
		if n.value <= 0 {
			bad(n.setting, "%d is not above zero", n.value)
		}
	}
	errs = append(errs, c.Discovery.validate(), c.Routing.validate(), c.Cookie.Validate(), c.Admission.validate(), c.Outliers.validate(), c.Limits.validate(), c.TLS.validate(), c.CometTLS.validate())
	return errors.Join(errs...)
}
