package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/cli"
)

// check reports everything that is wrong with the settings, each mistake with
// the setting and where it was made. It binds nothing and asks no name server.
func (s *settings) check() error {
	r := &report{source: s.source, told: make(map[string]bool)}
	for _, a := range []struct{ setting, addr string }{
		{"listen", s.listen}, {"admin", s.admin}, {"gossip", s.gossip}, {"gossip-advertise", s.advertise},
	} {
		if a.addr != "" || a.setting == "listen" {
			r.add(a.setting, checkAddr(a.addr))
		}
	}
	if s.url != "" {
		r.add("url", checkURL(s.url))
	}
	r.all(s.comet.Validate(), nil)

	links := s.oort
	links.URL, links.Secret = cmp.Or(s.url, "http://127.0.0.1:1/"), cmp.Or(s.oort.Secret, loopbackSecret)
	r.all(links.Validate(), map[string]string{"URL": "url", "Static": "oort", "Channels": "oort-channels"})

	if s.gossips() {
		members := s.member(links.URL, "check")
		if host, _, err := net.SplitHostPort(members.Bind); err == nil && host == "" {
			members.Bind = "127.0.0.1" + members.Bind // serve completes it
		}
		if members.Advertise == "" && unspecified(members.Bind) {
			members.Advertise = "127.0.0.1:0" // so it does here
		}
		r.all(members.Validate(), map[string]string{
			"Bind": "gossip", "Advertise": "gossip-advertise", "Join": "join", "Name": "name", "URL": "url", "Keys": "cluster-key",
		})
	} else {
		for name, given := range map[string]bool{"join": len(s.cluster.Join) > 0, "gossip-advertise": s.advertise != ""} {
			if given {
				r.add(name, errors.New("has no meaning without gossip"))
			}
		}
	}
	r.keys(s)
	return errors.Join(r.errs...)
}

// member is the cluster's configuration of a comet that others reach at url.
func (s *settings) member(url, tag string) cluster.Config {
	cfg := s.cluster
	cfg.Name, cfg.Tag, cfg.Role, cfg.URL = s.comet.Name, tag, cluster.RoleComet, url
	cfg.Bind, cfg.Advertise = s.gossip, s.advertise
	return cfg
}

// report collects mistakes.
type report struct {
	source *cli.Settings
	errs   []error
	told   map[string]bool // settings of which an earlier source has complained
}

func (r *report) add(setting string, err error) {
	if err != nil {
		r.told[setting] = true
		r.errs = append(r.errs, r.source.Fault(setting, err))
	}
}

// all adds what a Validate has found. Its errors begin with the name of a field,
// which names translates; a setting of which an earlier source has complained is
// not told of twice.
func (r *report) all(err error, names map[string]string) {
	if err == nil {
		return
	}
	told := make(map[string]bool)
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "cluster: ")
		field, what, _ := strings.Cut(line, ": ")
		setting, ok := names[field]
		if !ok {
			setting = field
		}
		if !r.told[setting] {
			r.errs = append(r.errs, r.source.Fault(setting, errors.New(what)))
			told[setting] = true
		}
	}
	for setting := range told {
		r.told[setting] = true
	}
}

// loopbackSecret is what comets of one machine tell each other that no others
// can reach, and that were given no secret.
const loopbackSecret = "loopback"

// keys says which keys are missing. A node that others can reach needs them.
func (r *report) keys(s *settings) {
	var open []string
	for _, a := range []struct{ setting, addr string }{
		{"listen", s.listen}, {"gossip", s.gossip}, {"gossip-advertise", s.advertise}, {"url", s.url},
	} {
		if a.addr != "" && !cli.IsLoopback(a.addr) {
			open = append(open, fmt.Sprintf("%s %s", r.source.Source(a.setting), a.addr))
		}
	}
	remote := open
	for _, u := range s.oort.Static {
		if !cli.IsLoopback(u) {
			remote = append(remote[:len(remote):len(remote)], fmt.Sprintf("%s %s", r.source.Source("oort"), u))
		}
	}
	if s.gossips() && len(open) > 0 && len(s.cluster.Keys) == 0 {
		r.errs = append(r.errs, fmt.Errorf("HALLEY_CLUSTER_KEY: missing, and needed since not loopback: %s", strings.Join(open, ", ")))
	}
	if s.clouded() && len(remote) > 0 && s.oort.Secret == "" {
		r.errs = append(r.errs, fmt.Errorf("HALLEY_OORT_SECRET: missing, and needed since not loopback: %s", strings.Join(remote, ", ")))
	}
	if s.admin != "" && !cli.IsLoopback(s.admin) && s.adminToken == "" {
		r.errs = append(r.errs, fmt.Errorf("HALLEY_ADMIN_TOKEN: missing, and needed since not loopback: %s %s", r.source.Source("admin"), s.admin))
	}
}

func checkAddr(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT or :PORT", addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q: port %q is not 0 to 65535", addr, port)
	}
	return nil
}

func checkURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("%q is not a URL like http://host:8081/cometd", raw)
	}
	return nil
}

func unspecified(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}
