package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/cli"
)

// check reports everything that is wrong with the settings, each mistake with
// the setting and where it was made. It binds nothing and asks no name server.
func (s *settings) check() error {
	r := cli.NewReport(s.source)
	for _, a := range []struct{ setting, addr string }{
		{"listen", s.listen}, {"admin", s.admin}, {"gossip", s.gossip}, {"gossip-advertise", s.advertise},
	} {
		if a.addr != "" || a.setting == "listen" {
			r.Addr(a.setting, a.addr)
		}
	}
	if s.url != "" {
		r.Add("url", checkURL(s.url))
	}
	r.All(s.comet.Validate(), nil)

	links := s.oort
	links.URL, links.Secret = cmp.Or(s.url, "http://127.0.0.1:1/"), cmp.Or(s.oort.Secret, loopbackSecret)
	r.All(links.Validate(), map[string]string{"URL": "url", "Static": "oort", "Channels": "oort-channels"})

	if s.gossips() {
		members := s.member(links.URL, "check")
		if host, _, err := net.SplitHostPort(members.Bind); err == nil && host == "" {
			members.Bind = "127.0.0.1" + members.Bind // serve completes it
		}
		if members.Advertise == "" && cli.Unspecified(members.Bind) {
			members.Advertise = "127.0.0.1:0" // so it does here
		}
		r.All(members.Validate(), map[string]string{
			"Bind": "gossip", "Advertise": "gossip-advertise", "Join": "join", "Name": "name", "URL": "url", "Keys": "cluster-key",
		})
	} else {
		for name, given := range map[string]bool{"join": len(s.cluster.Join) > 0, "gossip-advertise": s.advertise != ""} {
			if given {
				r.Add(name, errors.New("has no meaning without gossip"))
			}
		}
	}
	s.checkKeys(r)
	return r.Err()
}

// member is the cluster's configuration of a comet that others reach at url.
func (s *settings) member(url, tag string) cluster.Config {
	cfg := s.cluster
	cfg.Name, cfg.Tag, cfg.Role, cfg.URL = s.comet.Name, tag, cluster.RoleComet, url
	cfg.Bind, cfg.Advertise = s.gossip, s.advertise
	return cfg
}

// loopbackSecret is what comets of one machine tell each other that no others
// can reach, and that were given no secret.
const loopbackSecret = "loopback"

// checkKeys says which keys are missing. A node that others can reach needs them.
func (s *settings) checkKeys(r *cli.Report) {
	var open []string
	for _, a := range []struct{ setting, addr string }{
		{"listen", s.listen}, {"gossip", s.gossip}, {"gossip-advertise", s.advertise}, {"url", s.url},
	} {
		if a.addr != "" && !cli.IsLoopback(a.addr) {
			open = append(open, fmt.Sprintf("%s %s", s.source.Source(a.setting), a.addr))
		}
	}
	remote := open
	for _, u := range s.oort.Static {
		if !cli.IsLoopback(u) {
			remote = append(remote[:len(remote):len(remote)], fmt.Sprintf("%s %s", s.source.Source("oort"), u))
		}
	}
	if s.gossips() && len(open) > 0 && len(s.cluster.Keys) == 0 {
		r.Missing("HALLEY_CLUSTER_KEY", open)
	}
	if s.clouded() && len(remote) > 0 && s.oort.Secret == "" {
		r.Missing("HALLEY_OORT_SECRET", remote)
	}
	if s.admin != "" && !cli.IsLoopback(s.admin) && s.adminToken == "" {
		r.Missing("HALLEY_ADMIN_TOKEN", []string{s.source.Source("admin") + " " + s.admin})
	}
}

func checkURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("%q is not a URL like http://host:8081/cometd", raw)
	}
	return nil
}
