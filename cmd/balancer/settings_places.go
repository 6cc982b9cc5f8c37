package main

import (
	"github.com/halleycomet/halley/balancer"
	"github.com/halleycomet/halley/internal/cli"
)

func declareRouting(s *cli.Settings, r *balancer.Routing) {
	s.Int(&r.IPPrefix4, "ip-prefix4", "BITS", "How many leading bits of an IPv4 address a client is routed by.")
	s.Int(&r.IPPrefix6, "ip-prefix6", "BITS", "How many leading bits of an IPv6 address a client is routed by.")
	s.Duration(&r.SlowStart, "slow-start", "How long a comet that has just become healthy gets only a part of the new sessions, which grows from none to all; 0 is off.")
}
