package main

import (
	"os"
	"time"

	"github.com/halleycomet/halley/cluster/oort"
	"github.com/halleycomet/halley/comet"
	"github.com/halleycomet/halley/internal/cli"
	"github.com/halleycomet/halley/internal/node"
)

// settings are those of `comet serve`. What a package's Config holds is read
// straight into it; the rest is here.
type settings struct {
	*node.Settings
	comet    comet.Config
	oort     oort.Config
	security security
	url      string
	drain    time.Duration
}

func declareServe(s *cli.Settings) *settings {
	host, _ := os.Hostname() // without one, Check says that a name has to be given
	set := &settings{
		Settings: node.Declare(s, "127.0.0.1:8081", host, node.Usage{
			Listen: "Where clients, balancers and other comets connect,", Name: "The comet's stable name, as no other comet of the cloud has it.", Admin: "/healthz, /readyz and /metrics",
		}),
		comet: comet.DefaultConfig(), oort: oort.DefaultConfig(), drain: 25 * time.Second,
	}
	s.String(&set.comet.Path, "path", "PATH", "The prefix under which Bayeux is spoken.")
	s.String(&set.url, "url", "URL", "How other comets and the balancers reach this one, never through a balancer (its Oort URL). The default is made from the address of --listen and --path.")
	s.List(&set.oort.Static, "oort", "URL", "Comets that do not gossip, by their Oort URLs.")
	s.List(&set.oort.Channels, "oort-channels", "CHANNEL", "Channels observed on all comets whether or not a client here listens.")
	s.Duration(&set.drain, "drain-timeout", "Within how long after SIGTERM all clients have been sent away, goodbye has been said and the process has ended.")
	declareComet(s, &set.comet)
	declareSecurity(s, &set.security)
	s.Secret(&set.oort.Secret, "oort-secret", "What all comets of the cloud know, and nobody else.")
	return set
}

// declareComet declares what only the Bayeux server is concerned with.
func declareComet(s *cli.Settings, c *comet.Config) {
	s.Duration(&c.Timeout, "timeout", "For how long a /meta/connect is held.")
	s.Duration(&c.Interval, "interval", "The pause that clients are advised to make between two /meta/connect.")
	s.Duration(&c.MaxInterval, "max-interval", "For how long a session lives without a /meta/connect, beyond the interval.")
	s.Bool(&c.HandshakeReconnect, "handshake-reconnect", "Put maxInterval into the advice, with which clients that were away for long handshake by themselves.")
	s.Duration(&c.SweepPeriod, "sweep-period", "How often expired sessions are looked for.")
	s.Bytes(&c.MaxMessageSize, "max-message-size", "The largest request body or WebSocket message.")
	s.Int(&c.MaxQueue, "max-queue", "MESSAGES", "How many messages may wait for a session before it is cut.")
	s.Bytes(&c.MaxQueueBytes, "max-queue-bytes", "How much may wait for a session before it is cut.")
	s.Int(&c.PeerQueueFactor, "peer-queue-factor", "FACTOR", "By how much both limits are larger for other comets.")
	s.Int(&c.DuplicateConnectStatus, "duplicate-connect-status", "STATUS", "The HTTP status of a held /meta/connect that a newer one replaced.")
	s.List(&c.Origins, "origins", "ORIGIN", "Web origins that may use this comet, as https://a.example or https://*.a.example; * is any. Empty: those of the same host.")
	s.Bool(&c.Compression, "compression", "Let WebSocket clients negotiate permessage-deflate.")
	s.Duration(&c.WriteTimeout, "write-timeout", "How long a client may take nothing from its connection before it is closed.")
	s.Duration(&c.SocketIdleTimeout, "socket-idle-timeout", "How long a WebSocket may be silent before it is closed.")
	s.Duration(&c.ReadTimeout, "read-timeout", "How long a request may take to come in.")
	s.Duration(&c.IdleTimeout, "idle-timeout", "How long a connection is kept between requests.")
	s.Int(&c.DrainRate, "drain-rate", "SESSIONS", "How many sessions a second are sent away, at least, when the comet leaves.")
	node.DeclareCookie(s, &c.Cookie)
}

// goodbye is how long one of the steps may take that follow the draining: d, unless
// drain-timeout is so short that a tenth of it is less.
func (s *settings) goodbye(d time.Duration) time.Duration { return min(d, s.drain/10) }

// clouded says whether this comet has links to other comets or lets them link to it.
func (s *settings) clouded() bool {
	return s.Gossips() || len(s.oort.Static) > 0 || s.oort.Secret != ""
}
