package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"github.com/halleycomet/halley/balancer"
	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/cli"
)

// settings are those of `balancer serve`. What a package's Config holds is read
// straight into it; the rest is here.
type settings struct {
	source *cli.Settings

	balancer balancer.Config
	cluster  cluster.Config

	listen     string
	admin      string // empty: none
	gossip     string // empty: no gossip
	advertise  string
	name       string
	keys       []string
	portFile   string
	logLevel   *cli.LogLevel
	adminToken string
}

// The names of the keys of stickiness in --keys, in the order in which they are asked.
const (
	keyClientID = "client-id"
	keyCookie   = "cookie"
	keyIP       = "ip"
)

func declareServe(s *cli.Settings) *settings {
	set := &settings{
		source: s, balancer: balancer.DefaultConfig(), cluster: cluster.DefaultConfig(),
		listen: "127.0.0.1:8080", keys: []string{keyClientID, keyCookie, keyIP},
	}
	set.name, _ = os.Hostname()
	if set.name == "" {
		set.name = "balancer"
	}
	b := &set.balancer

	s.String(&set.listen, "listen", "ADDR", "Where clients connect, HOST:PORT. Without a host it is this node's one private address; port 0 is any that is free.")
	s.List(&b.Comets, "comets", "URL", "Comets that do not gossip, as http URLs without a path. Balancers with the same list agree on everything.")
	s.String(&b.Path, "path", "PATH", "The prefix under which Bayeux is spoken. Everything outside it is passed on as it is.")
	cli.Enum(s, &b.Place, "place", []balancer.Place{balancer.PlaceAuto, balancer.PlaceLoad, balancer.PlaceIP}, "Where new sessions go: by load where the client can be pinned and by IP where not (auto), every handshake by load, or everything by IP.")
	s.List(&set.keys, "keys", "KEY", "The keys of stickiness in use, of client-id, cookie, ip.")
	s.String(&set.gossip, "gossip", "ADDR", "Where the gossip listens, on TCP and UDP. Empty: no gossip.")
	s.String(&set.advertise, "gossip-advertise", "ADDR", "This node's gossip address as others see it. The default is that of --gossip, with this node's private address where that is every interface.")
	s.List(&set.cluster.Join, "join", "ADDR", "Gossip addresses of other nodes. One live one is enough; names are resolved anew at each try.")
	s.String(&set.name, "name", "NAME", "This balancer's name in the gossip. The default is the host name.")
	s.String(&set.admin, "admin", "ADDR", "Where /healthz, /readyz, /metrics and /comets are served. Empty: nowhere.")
	s.String(&set.portFile, "port-file", "FILE", "A file to write the addresses to that were got, in lines listen=ADDR, admin=ADDR, gossip=ADDR.")

	s.List(&b.TrustedProxies, "trusted-proxies", "CIDR", "Networks whose X-Forwarded-For is believed.")
	s.List(&b.Origins, "origins", "ORIGIN", "Web origins that may read the balancer's own answers, as https://a.example or https://*.a.example; * is any. Empty: those of the same host. Give the comets the same list.")
	declareChecks(s, b)
	declareLimits(s, &b.Limits)
	declareCookie(s, &b.Cookie)
	set.logLevel = s.Log()

	s.Keys(&set.cluster.Keys, "cluster-key", "Keys of the gossip, base64 of 16, 24 or 32 bytes; the first encrypts, all decrypt.")
	s.Secret(&set.adminToken, "admin-token", "The bearer token that /metrics and /comets ask for.")
	return set
}

func declareChecks(s *cli.Settings, b *balancer.Config) {
	s.Duration(&b.CheckInterval, "check-interval", "The pause between two checks of a comet that is well.")
	s.Duration(&b.RecheckInterval, "recheck-interval", "The pause between two checks of a comet that is down, or whose last check failed.")
	s.Duration(&b.CheckTimeout, "check-timeout", "How long one check may take.")
	s.Int(&b.Fall, "fall", "CHECKS", "How many checks in a row fail before a comet is down.")
	s.Int(&b.Rise, "rise", "CHECKS", "How many checks in a row succeed before it is healthy again.")
	s.Int(&b.HandshakeRate, "handshake-rate", "PER SECOND", "How many handshakes one comet takes well. The clients of a dead comet are spread over the time that the others need.")
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
	s.Duration(&l.RetryMax, "retry-max", "The longest.")
	s.Int(&l.MaxIdle, "max-idle", "CONNECTIONS", "How many idle connections are kept to one comet.")
	s.Duration(&l.MaxIdleTime, "max-idle-time", "How long one of them is kept. Keep it below the comets' own limit.")
	s.Int(&l.MaxConns, "max-conns", "CONNECTIONS", "How many connections one comet gets; 0 is no limit.")
}

func declareCookie(s *cli.Settings, c *balancer.Cookie) {
	s.String(&c.Name, "cookie-name", "NAME", "The browser cookie that pins a client to a comet.")
	s.String(&c.Domain, "cookie-domain", "DOMAIN", "Its domain. Empty: the host that set it.")
	s.String(&c.Path, "cookie-path", "PATH", "Its path.")
	s.Int(&c.MaxAge, "cookie-max-age", "SECONDS", "Its life; negative: until the browser ends.")
	s.Bool(&c.Secure, "cookie-secure", "Send it over TLS only.")
	s.Bool(&c.HTTPOnly, "cookie-http-only", "Hide it from scripts.")
	s.String(&c.SameSite, "cookie-same-site", "Lax|Strict|None", "Its SameSite attribute. Empty: none is sent.")
	s.Bool(&c.Partitioned, "cookie-partitioned", "Give it to each embedding site apart.")
}

func (s *settings) gossips() bool { return s.gossip != "" }

// check reports everything that is wrong with the settings, each mistake with the
// setting and where it was made. It binds nothing and asks no name server.
func (s *settings) check() error {
	r := cli.NewReport(s.source)
	for _, a := range []struct{ setting, addr string }{
		{"listen", s.listen}, {"admin", s.admin}, {"gossip", s.gossip}, {"gossip-advertise", s.advertise},
	} {
		if a.addr != "" || a.setting == "listen" {
			r.Addr(a.setting, a.addr)
		}
	}
	r.Add("keys", s.useKeys())
	r.All(s.balancer.Validate(), nil)
	if s.gossips() {
		s.checkGossip(r)
	} else {
		for name, given := range map[string]bool{"join": len(s.cluster.Join) > 0, "gossip-advertise": s.advertise != ""} {
			if given {
				r.Add(name, errors.New("has no meaning without gossip"))
			}
		}
		if len(s.balancer.Comets) == 0 {
			r.Add("comets", errors.New("none are listed, and without gossip none will be found: give --comets, or --gossip and --join"))
		}
	}
	if s.admin != "" && !cli.IsLoopback(s.admin) && s.adminToken == "" {
		r.Missing("HALLEY_ADMIN_TOKEN", []string{s.source.Source("admin") + " " + s.admin})
	}
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

// checkGossip checks the membership as serve will have it once it has completed
// the addresses.
func (s *settings) checkGossip(r *cli.Report) {
	members := s.member("check")
	if host, _, err := net.SplitHostPort(members.Bind); err == nil && host == "" {
		members.Bind = "127.0.0.1" + members.Bind
	}
	if members.Advertise == "" && cli.Unspecified(members.Bind) {
		members.Advertise = "127.0.0.1:0"
	}
	r.All(members.Validate(), map[string]string{
		"Bind": "gossip", "Advertise": "gossip-advertise", "Join": "join", "Name": "name", "Keys": "cluster-key",
	})
	var open []string
	for _, a := range []struct{ setting, addr string }{{"gossip", s.gossip}, {"gossip-advertise", s.advertise}} {
		if a.addr != "" && !cli.IsLoopback(a.addr) {
			open = append(open, s.source.Source(a.setting)+" "+a.addr)
		}
	}
	if len(open) > 0 && len(s.cluster.Keys) == 0 {
		r.Missing("HALLEY_CLUSTER_KEY", open)
	}
}

// member is this balancer's configuration as a member of a cluster.
func (s *settings) member(tag string) cluster.Config {
	cfg := s.cluster
	cfg.Name, cfg.Tag, cfg.Role = s.name, tag, cluster.RoleBalancer
	cfg.Bind, cfg.Advertise = s.gossip, s.advertise
	return cfg
}
