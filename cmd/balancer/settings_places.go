package main

import (
	"github.com/halleycomet/halley/balancer"
	"github.com/halleycomet/halley/internal/cli"
)

func declareDiscovery(s *cli.Settings, b *balancer.Config) {
	s.List(&b.Comets, "comets", "URL", "Comets that do not gossip: http(s)://host:port, dns://name:port for each address of a name, srv://_service._tcp.name for SRV records (dns+https, srv+https for TLS); after it, with blanks between, weight=N, backup, ipv4 or ipv6. Balancers with the same list agree on everything.").Example("http://127.0.0.1:8081")
	s.Path(&b.Discovery.CometsFile, "comets-file", "A file that lists comets likewise, one in a line or as a YAML sequence. It is looked at every second.")
	s.Duration(&b.Discovery.DNSInterval, "dns-interval", "The pause between two lookups of a name.")
	s.String(&b.Discovery.DNSServer, "dns-server", "ADDR", "The name server to ask, as host:port. Empty: whom the system asks.")
}

func declareRouting(s *cli.Settings, r *balancer.Routing) {
	s.Int(&r.IPPrefix4, "ip-prefix4", "BITS", "How many leading bits of an IPv4 address a client is routed by.")
	s.Int(&r.IPPrefix6, "ip-prefix6", "BITS", "How many leading bits of an IPv6 address a client is routed by.")
	s.Duration(&r.SlowStart, "slow-start", "How long a comet that has just become healthy gets only a part of the new sessions, which grows from none to all; 0 is off.")
	s.Int(&r.LearnSessions, "learn-sessions", "SESSIONS", "Of how many sessions of comets that are not Halley's the comet is remembered by clientId, for clients without cookies; 0 is none.")
	s.Duration(&r.LearnTime, "learn-time", "How long a session is remembered that sends nothing over HTTP.")
}
