package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/halleycomet/halley/balancer"
	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/cli"
	"github.com/halleycomet/halley/internal/node"
)

// settings are those of `balancer serve`. What a package's Config holds is read
// straight into it; the rest is here.
type settings struct {
	*node.Settings
	balancer balancer.Config
	keys     []string

	HandoverSocket string // empty: none
	watch          bool   // look at the file of --config
}

// The names of the keys of stickiness in --keys, in the order in which they are asked.
const (
	keyClientID = "client-id"
	keyCookie   = "cookie"
	keyIP       = "ip"
)

func declareServe(s *cli.Settings) *settings {
	host, _ := os.Hostname()
	set := &settings{
		Settings: node.Declare(s, "127.0.0.1:8080", cmp.Or(host, "balancer"), node.Usage{
			Listen: "Where clients connect,", TLSListen: "Where clients connect over TLS, HOST:PORT, beside --listen or instead of it (--listen \"\"). Empty: nowhere.", Name: "This balancer's name in the gossip.", Admin: "/healthz, /readyz, /metrics, /comets, /log-level and /debug/pprof/",
		}),
		balancer: balancer.DefaultConfig(), keys: []string{keyClientID, keyCookie, keyIP}, watch: true,
	}
	b := &set.balancer

	declareDiscovery(s, b)
	s.String(&b.Path, "path", "PATH", "The prefix under which Bayeux is spoken. Everything outside it is passed on as it is.")
	cli.Enum(s, &b.Place, "place", []balancer.Place{balancer.PlaceAuto, balancer.PlaceLoad, balancer.PlaceIP}, "Where new sessions go: a handshake over HTTP to the less loaded of two comets, others by address (auto, load; load also for clients that name eventsource), or all by address (ip). A WebSocket without a cookie always goes by address.")
	s.List(&set.keys, "keys", "KEY", "The keys of stickiness in use, of client-id, cookie, ip.")

	s.List(&b.TrustedProxies, "trusted-proxies", "CIDR", "Networks whose X-Forwarded headers, Forwarded and PROXY headers are believed.")
	s.List(&b.Origins, "origins", "ORIGIN", "Web origins that may read the balancer's own answers, as https://a.example or https://*.a.example; * is any. Empty: those of the same host. Give the comets the same list.")
	s.Duration(&b.DrainTime, "drain-time", "How long the clients of a comet that drains have to be moved to others. Keep it above the comets' timeout.")
	s.Int(&b.DrainRate, "drain-rate", "PER SECOND", "How many clients of a comet that drains are moved a second, more if drain-time wants it; 0 is --handshake-rate.")
	s.String(&b.AccessLog, "access-log", "FILE", "Where a line for each finished request goes: a file, stdout or stderr. Empty: nowhere.").Made()
	cli.Enum(s, &b.AccessLogFormat, "access-log-format", []balancer.AccessLogFormat{balancer.AccessLogJSON, balancer.AccessLogCombined}, "How its lines look: json, or combined, that of Apache and nginx.")
	s.Duration(&b.StopTime, "stop-time", "How long requests under way have to end when the balancer stops. WebSockets are closed spread over it.")
	declareHandover(s, set)
	declareRouting(s, &b.Routing)
	declareProxy(s, b)
	declareHeaders(s, b)
	declareTLS(s, &b.TLS)
	declareCometTLS(s, &b.CometTLS)
	declareChecks(s, b)
	declareAdmission(s, b)
	declareLimits(s, &b.Limits)
	node.DeclareCookie(s, &b.Cookie)
	s.Bool(&set.watch, "watch-config", "Read the settings again when the file of --config has changed, within 2 s. SIGHUP has them read in any case.")
	declareReloads(s)
	return set
}

// declareReloads tells which settings a reload takes over.
func declareReloads(s *cli.Settings) {
	s.Reloads(logLevel)
	all, restart := balancer.SettingNames()
	declared := s.Names()
	for _, name := range all {
		if slices.Contains(declared, name) && !slices.Contains(restart, name) {
			s.Reloads(name)
		}
	}
}

func declareChecks(s *cli.Settings, b *balancer.Config) {
	cli.Enum(s, &b.Check, "check", []balancer.Check{balancer.CheckConnect, balancer.CheckBayeux, balancer.CheckHTTP}, "What a check asks: something small that leaves no trace (connect), a whole session as a client has one (bayeux), or check-path by GET (http).")
	s.String(&b.CheckPath, "check-path", "PATH", "What a check asks for when check is http. A status from 200 to 399 is well.")
	s.Duration(&b.CheckInterval, "check-interval", "The pause between two checks of a comet that is well.")
	s.Duration(&b.RecheckInterval, "recheck-interval", "The pause between two checks of a comet that is down, or whose last check failed.")
	s.Duration(&b.CheckTimeout, "check-timeout", "How long one check may take.")
	s.Int(&b.Fall, "fall", "CHECKS", "How many checks in a row fail before a comet is down.")
	s.Int(&b.Rise, "rise", "CHECKS", "How many checks in a row succeed before it is healthy again.")
	s.Int(&b.Outliers.PassiveFailures, "passive-failures", "CLIENTS", "How many clients meet with a failure of a comet within passive-window before it comes under suspicion and is checked at once. 0 is off.")
	s.Duration(&b.Outliers.PassiveWindow, "passive-window", "The time within which they count.")
	s.Int(&b.Outliers.MaxEjected, "max-ejected", "PERCENT", "How much of the fleet, at least one comet, may be left out at a time for evidence that proves nothing. A refused connection is proof.")
}

func declareLimits(s *cli.Settings, l *balancer.Limits) {
	s.Bytes(&l.MaxBody, "max-body", "The largest body under --path. Other paths have no limit.")
	s.Duration(&l.ReadTimeout, "read-timeout", "How long the head of a request, and under --path its body, may take to come in.")
	s.Duration(&l.WriteTimeout, "write-timeout", "How long a client may take nothing of its answer.")
	s.Duration(&l.IdleTimeout, "idle-timeout", "How long a client's connection may stay without a request.")
	s.Duration(&l.DialTimeout, "dial-timeout", "How long one dial to a comet may take.")
	s.Duration(&l.Redial, "redial", "How long a comet whose connections hang is dialled again before it counts as unreachable.")
	s.Duration(&l.ConnectTimeout, "connect-timeout", "How long a comet may hold a /meta/connect.")
	s.Duration(&l.UpstreamTimeout, "upstream-timeout", "How long a comet may be silent on every other request.")
	s.Duration(&l.Hold, "hold", "How long a request waits for a comet when none is healthy.")
	s.Duration(&l.RetryMin, "retry-min", "The shortest interval advised when no comet is healthy.")
	s.Duration(&l.RetryMax, "retry-max", "The longest interval advised when no comet is healthy.")
	s.Int(&l.MaxIdle, "max-idle", "CONNECTIONS", "How many idle connections are kept to one comet.")
	s.Duration(&l.MaxIdleTime, "max-idle-time", "How long an idle connection to a comet is kept. Keep it below the comets' own limit.")
	s.Int(&l.Comet.MaxConns, "comet-max-conns", "CONNECTIONS", "How many connections to one comet are in use at a time: requests, held polls and WebSockets. 0 is no limit.")
	s.Int(&l.Comet.MaxHeld, "comet-max-held", "POLLS", "How many requests with a /meta/connect one comet has at a time. 0 is no limit.")
	s.Int(&l.Comet.MaxWaiting, "comet-max-waiting", "REQUESTS", "How many other requests wait for an answer of one comet at a time. 0 is no limit.")
	s.Int(&l.Comet.MaxQueue, "comet-max-queue", "REQUESTS", "How many requests queue for a comet that is at one of these limits.")
	s.Duration(&l.QueueTime, "queue-time", "How long they queue, before they are answered with the advice to come later.")
}

// check reports everything that is wrong with the settings, each mistake with the
// setting and where it was made. It binds nothing and asks no name server.
func (s *settings) check() error {
	r := cli.NewReport(s.Source)
	s.Settings.Check(r, cluster.RoleBalancer, "")
	s.checkHandover(r)
	r.Add("keys", s.useKeys())
	r.All(s.balancer.Validate(), nil)
	if !s.Gossips() && len(s.balancer.Comets) == 0 && s.balancer.Discovery.CometsFile == "" {
		r.Add("comets", errors.New("none are listed, and without gossip none will be found: give --comets or --comets-file, or --gossip and --join"))
	}
	s.checkTLS(r)
	s.CheckKey(r, s.Open("gossip", "gossip-advertise"))
	return r.Err()
}

// useKeys reads --keys into the balancer's configuration.
func (s *settings) useKeys() error {
	known := []string{keyClientID, keyCookie, keyIP}
	var errs []error
	for _, k := range s.keys {
		if !slices.Contains(known, k) {
			errs = append(errs, fmt.Errorf("%q is none of client-id, cookie, ip", k))
		}
	}
	s.balancer.Keys = balancer.Keys{
		ClientID: slices.Contains(s.keys, keyClientID),
		Cookie:   slices.Contains(s.keys, keyCookie),
		IP:       slices.Contains(s.keys, keyIP),
	}
	return errors.Join(errs...)
}
