package main

import (
	"cmp"
	"fmt"
	"net/url"
	"time"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/cli"
)

// check reports everything that is wrong with the settings, each mistake with
// the setting and where it was made. It binds nothing and asks no name server.
func (s *settings) check() error {
	r := cli.NewReport(s.Source)
	links := s.oort
	links.URL, links.Secret = cmp.Or(s.url, "http://127.0.0.1:1/"), cmp.Or(s.oort.Secret, loopbackSecret)
	if s.url != "" {
		r.Add("url", checkURL(s.url))
	}
	s.Settings.Check(r, cluster.RoleComet, links.URL)
	own := s.comet
	own.Name = s.Name
	r.All(own.Validate(), nil)
	r.All(links.Validate(), map[string]string{"URL": "url", "Static": "oort", "Channels": "oort-channels"})
	if s.drain < time.Second {
		r.Add("drain-timeout", fmt.Errorf("%v is less than a second", s.drain))
	}
	s.security.check(r, s.url)
	s.checkKeys(r)
	return r.Err()
}

// loopbackSecret is what comets of one machine tell each other that no others
// can reach, and that were given no secret.
const loopbackSecret = "loopback"

// checkKeys says which keys are missing. A node that others can reach needs them.
func (s *settings) checkKeys(r *cli.Report) {
	open := s.Open("listen", "gossip", "gossip-advertise")
	if s.url != "" && !cli.IsLoopback(s.url) {
		open = append(open, s.Source.Source("url")+" "+s.url)
	}
	s.CheckKey(r, open)
	for _, u := range s.oort.Static {
		if !cli.IsLoopback(u) {
			open = append(open, s.Source.Source("oort")+" "+u)
		}
	}
	if s.clouded() && len(open) > 0 && s.oort.Secret == "" {
		r.Missing("HALLEY_OORT_SECRET", open)
	}
}

func checkURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("%q is not a URL like http://host:8081/cometd", raw)
	}
	return nil
}
