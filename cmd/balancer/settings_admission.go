package main

import (
	"github.com/halleycomet/halley/balancer"
	"github.com/halleycomet/halley/internal/cli"
)

// declareAdmission binds the pace of new sessions, and what a client may take.
func declareAdmission(s *cli.Settings, b *balancer.Config) {
	s.Int(&b.HandshakeRate, "handshake-rate", "PER SECOND", "How many handshakes over HTTP and WebSocket upgrades each comet that takes new sessions gets. What comes faster waits, or is told to come back in time.")
	a := &b.Admission
	s.Duration(&a.HandshakeBurst, "handshake-burst", "How much of that is saved up while nothing comes, in time: 1s lets a second's worth through at once.")
	s.Duration(&a.HandshakeWait, "handshake-wait", "How long a handshake or an upgrade waits for its turn. One that would wait longer is told at once when to come back.")
	s.Int(&a.HandshakeRatePrefix, "handshake-rate-prefix", "PER SECOND", "How many of them one network of clients may begin, of --ip-prefix4 or --ip-prefix6 bits. Many clients can be behind one address. 0 is no limit.")
	s.Int(&a.RequestsPerIP, "requests-per-ip", "PER SECOND", "How many requests one address may send. Many clients can be behind one address. 0 is no limit.")
	s.Int(&a.MaxConns, "max-conns", "CONNECTIONS", "How many connections all clients may have. Those that rest make room. 0: as many as leave a file descriptor for a connection to a comet for each.")
	s.Int(&a.MaxConnsPerIP, "max-conns-per-ip", "CONNECTIONS", "How many connections one address may have, --trusted-proxies apart. 0 is no limit.")
}
