// Package node is what both programs are beside their own work: the settings that
// they share, the addresses that they bind and tell, the admin, the membership.
//
// It starts nothing by itself and has no locks.
package node

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"go.uber.org/zap"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/cli"
)

// Settings are those that both programs have.
type Settings struct {
	Source *cli.Settings

	Name       string
	Listen     string // empty: none; only where there is TLSListen
	TLSListen  string // empty: none
	Admin      string // empty: none
	Gossip     string // empty: no gossip
	Advertise  string
	PortFile   string
	LogLevel   *cli.LogLevel
	AdminToken string

	// Cluster holds what is set of the membership; Member completes it.
	Cluster cluster.Config
}

// Usage is how the help of a program words what is particular to it.
// Without a text for TLSListen a program has no such setting.
type Usage struct{ Listen, TLSListen, Name, Admin string }

// Declare binds the settings. Listen and Name have the defaults given.
func Declare(s *cli.Settings, listen, name string, usage Usage) *Settings {
	set := &Settings{Source: s, Cluster: cluster.DefaultConfig(), Listen: listen, Name: name}
	s.String(&set.Listen, "listen", "ADDR", usage.Listen+" HOST:PORT; without a host it is this node's one private address; port 0 is any that is free.").Example(listen)
	if usage.TLSListen != "" {
		s.String(&set.TLSListen, "tls-listen", "ADDR", usage.TLSListen)
	}
	s.String(&set.Name, "name", "NAME", usage.Name+" The default is the host name.").Local("node-1")
	s.String(&set.Gossip, "gossip", "ADDR", "Where the gossip listens, on TCP and UDP. Empty: no gossip.")
	s.String(&set.Advertise, "gossip-advertise", "ADDR", "This node's gossip address as others see it. The default is that of --gossip, with this node's private address where that is every interface.")
	s.List(&set.Cluster.Join, "join", "ADDR", "Gossip addresses of other nodes. One live one is enough; names are resolved anew at each try.")
	s.String(&set.Admin, "admin", "ADDR", "Where "+usage.Admin+" are served. Empty: nowhere.")
	s.String(&set.PortFile, "port-file", "FILE", "A file to write the addresses to that were got, in lines SETTING=ADDR: listen=127.0.0.1:8080 and so on, for each setting that is an address to listen on.").Made()
	set.LogLevel = s.Log()
	s.Keys(&set.Cluster.Keys, "cluster-key", "Keys of the gossip, base64 of 16, 24 or 32 bytes; the first encrypts, all decrypt.")
	s.Secret(&set.AdminToken, "admin-token", "The bearer token that the admin asks for.")
	return set
}

// DeclareCookie binds the settings of the browser cookie.
func DeclareCookie(s *cli.Settings, c *bayeux.Cookie) {
	s.String(&c.Name, "browser-cookie-name", "NAME", "The browser cookie that pins a client to a comet.")
	s.String(&c.Domain, "browser-cookie-domain", "DOMAIN", "The domain of the browser cookie. Empty: the host that set it.")
	s.String(&c.Path, "browser-cookie-path", "PATH", "The path of the browser cookie: it is sent with requests under it.")
	s.Int(&c.MaxAge, "browser-cookie-max-age", "SECONDS", "How long the browser keeps the cookie; negative: until it ends.")
	s.Bool(&c.Secure, "browser-cookie-secure", "Let the browser send the cookie over TLS only.")
	s.Bool(&c.HTTPOnly, "browser-cookie-http-only", "Hide the cookie from scripts.")
	s.String(&c.SameSite, "browser-cookie-same-site", "Lax|Strict|None", "The SameSite attribute of the cookie. Empty: none is sent.")
	s.Bool(&c.Partitioned, "browser-cookie-partitioned", "Let the browser keep a cookie of its own for each site that embeds the page (Partitioned).")
}

// Gossips says whether this node is a member of a cluster.
func (s *Settings) Gossips() bool { return s.Gossip != "" }

// Check reports what is wrong with these settings, for a node of the role that
// others reach at url. It binds nothing and asks no name server.
func (s *Settings) Check(r *cli.Report, role cluster.Role, url string) {
	for _, a := range []struct{ setting, addr string }{
		{"listen", s.Listen}, {"tls-listen", s.TLSListen}, {"admin", s.Admin}, {"gossip", s.Gossip}, {"gossip-advertise", s.Advertise},
	} {
		if a.addr != "" || a.setting == "listen" && s.TLSListen == "" {
			r.Addr(a.setting, a.addr)
		}
	}
	for _, clash := range clashes(s.Listen, s.TLSListen, s.Admin, s.Gossip) {
		r.Add(clash.setting, fmt.Errorf("%s is the address of %s already", clash.addr, clash.other))
	}
	if s.Admin != "" && !cli.IsLoopback(s.Admin) && s.AdminToken == "" {
		r.Missing("HALLEY_ADMIN_TOKEN", s.Open("admin"))
	}
	if s.Gossips() {
		cfg := s.member(role, "check", url)
		// What Member finds out later stands for something valid here.
		if host, _, err := net.SplitHostPort(cfg.Bind); err == nil && host == "" {
			cfg.Bind = "127.0.0.1" + cfg.Bind
		}
		if cfg.Advertise == "" && cli.Unspecified(cfg.Bind) {
			cfg.Advertise = "127.0.0.1:0"
		}
		r.All(cfg.Validate(), map[string]string{
			"Bind": "gossip", "Advertise": "gossip-advertise", "Join": "join", "Name": "name", "URL": "url", "Keys": "cluster-key",
		})
		return
	}
	for _, unused := range []struct {
		setting string
		given   bool
	}{{"join", len(s.Cluster.Join) > 0}, {"gossip-advertise", s.Advertise != ""}} {
		if unused.given {
			r.Add(unused.setting, errors.New("has no meaning without gossip"))
		}
	}
}

// clash is an address that an earlier setting has taken.
type clash struct{ setting, addr, other string }

// clashes finds the settings that cannot be bound because of another. Gossip binds
// TCP too. Names are compared as they are written, for no name server is asked.
func clashes(listen, tlsListen, admin, gossip string) (found []clash) {
	var taken []clash
	for _, a := range []clash{{setting: "listen", addr: listen}, {setting: "tls-listen", addr: tlsListen}, {setting: "admin", addr: admin}, {setting: "gossip", addr: gossip}} {
		for _, b := range taken {
			if sameAddr(a.addr, b.addr) {
				a.other = b.setting
				found = append(found, a)
				break
			}
		}
		taken = append(taken, a)
	}
	return found
}

func sameAddr(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	// Without a host it is one private address, not every interface.
	every := hostA != "" && cli.Unspecified(a) || hostB != "" && cli.Unspecified(b)
	return every || strings.EqualFold(hostA, hostB)
}

// Open lists those of the address settings that are reached from other machines,
// each with its source.
func (s *Settings) Open(settings ...string) []string {
	addrs := map[string]string{"listen": s.Listen, "admin": s.Admin, "gossip": s.Gossip, "gossip-advertise": s.Advertise}
	var open []string
	for _, setting := range settings {
		if addr := addrs[setting]; addr != "" && !cli.IsLoopback(addr) {
			open = append(open, s.Source.Source(setting)+" "+addr)
		}
	}
	return open
}

// CheckKey reports a missing key of the gossip, needed for what is open.
func (s *Settings) CheckKey(r *cli.Report, open []string) {
	if s.Gossips() && len(open) > 0 && len(s.Cluster.Keys) == 0 {
		r.Missing("HALLEY_CLUSTER_KEY", open)
	}
}

func (s *Settings) member(role cluster.Role, tag, url string) cluster.Config {
	cfg := s.Cluster
	cfg.Name, cfg.Tag, cfg.Role, cfg.URL = s.Name, tag, role, url
	cfg.Bind, cfg.Advertise = s.Gossip, s.Advertise
	return cfg
}

// Member builds this node's membership, nil without gossip.
func (s *Settings) Member(role cluster.Role, tag, url string, log *zap.Logger) (*cluster.Cluster, error) {
	if !s.Gossips() {
		return nil, nil
	}
	cfg := s.member(role, tag, url)
	cfg.Log = log
	var err error
	if cfg.Bind, err = cli.NodeAddr(cfg.Bind); err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	if cfg.Advertise == "" && cli.Unspecified(cfg.Bind) {
		if cfg.Advertise, err = cli.ReachableAddr(cfg.Bind); err != nil {
			return nil, fmt.Errorf("gossip-advertise: %w", err)
		}
	}
	return cluster.New(cfg)
}
