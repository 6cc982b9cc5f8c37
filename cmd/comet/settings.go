package main

import (
	"os"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/cluster/oort"
	"github.com/halleycomet/halley/comet"
	"github.com/halleycomet/halley/internal/cli"
)

// settings are those of `comet serve`. What a package's Config holds is read
// straight into it; the rest is here.
type settings struct {
	source *cli.Settings

	comet   comet.Config
	cluster cluster.Config
	oort    oort.Config

	listen     string
	admin      string // empty: none
	gossip     string // empty: no gossip
	advertise  string
	url        string
	portFile   string
	logLevel   *cli.LogLevel
	adminToken string
}

func declareServe(s *cli.Settings) *settings {
	set := &settings{
		source:  s,
		comet:   comet.DefaultConfig(),
		cluster: cluster.DefaultConfig(),
		oort:    oort.DefaultConfig(),
		listen:  "127.0.0.1:8081",
	}
	// Without a host name one has to be given: Check says so.
	set.comet.Name, _ = os.Hostname()

	s.String(&set.listen, "listen", "ADDR", "Where clients, balancers and other comets connect, HOST:PORT. Without a host it is this node's one private address; port 0 is any that is free.")
	s.String(&set.comet.Name, "name", "NAME", "The comet's stable name, as no other comet of the cloud has it. The default is the host name.")
	s.String(&set.comet.Path, "path", "PATH", "The prefix under which Bayeux is spoken.")
	s.String(&set.url, "url", "URL", "How other comets and the balancers reach this one, never through a balancer (its Oort URL). The default is made from the address of --listen and --path.")
	s.String(&set.gossip, "gossip", "ADDR", "Where the gossip of the cloud listens, on TCP and UDP. Empty: no gossip.")
	s.String(&set.advertise, "gossip-advertise", "ADDR", "This node's gossip address as others see it. The default is that of --gossip, with this node's private address where that is every interface.")
	s.List(&set.cluster.Join, "join", "ADDR", "Gossip addresses of other nodes. One live one is enough; names are resolved anew at each try.")
	s.List(&set.oort.Static, "oort", "URL", "Comets that do not gossip, by their Oort URLs.")
	s.List(&set.oort.Channels, "oort-channels", "CHANNEL", "Channels observed on all comets whether or not a client here listens.")
	s.String(&set.admin, "admin", "ADDR", "Where /healthz, /readyz and /metrics are served. Empty: nowhere.")
	s.String(&set.portFile, "port-file", "FILE", "A file to write the addresses to that were got, in lines listen=ADDR, admin=ADDR, gossip=ADDR.")
	declareComet(s, &set.comet)
	set.logLevel = s.Log()

	s.Keys(&set.cluster.Keys, "cluster-key", "Keys of the gossip, base64 of 16, 24 or 32 bytes; the first encrypts, all decrypt.")
	s.Secret(&set.oort.Secret, "oort-secret", "What all comets of the cloud know, and nobody else.")
	s.Secret(&set.adminToken, "admin-token", "The bearer token that /metrics asks for.")
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
	s.Duration(&c.ShutdownTimeout, "shutdown-timeout", "How long the end waits for clients to take what is queued for them.")

	s.String(&c.Cookie.Name, "cookie-name", "NAME", "The browser cookie that pins a client to a comet.")
	s.String(&c.Cookie.Domain, "cookie-domain", "DOMAIN", "Its domain. Empty: the host that set it.")
	s.String(&c.Cookie.Path, "cookie-path", "PATH", "Its path.")
	s.Int(&c.Cookie.MaxAge, "cookie-max-age", "SECONDS", "Its life; negative: until the browser ends.")
	s.Bool(&c.Cookie.Secure, "cookie-secure", "Send it over TLS only.")
	s.Bool(&c.Cookie.HTTPOnly, "cookie-http-only", "Hide it from scripts.")
	s.String(&c.Cookie.SameSite, "cookie-same-site", "Lax|Strict|None", "Its SameSite attribute. Empty: none is sent.")
	s.Bool(&c.Cookie.Partitioned, "cookie-partitioned", "Give it to each embedding site apart.")
}

// gossips says whether this comet is a member of a cluster, clouded whether it
// has links to other comets or lets them link to it.
func (s *settings) gossips() bool { return s.gossip != "" }
func (s *settings) clouded() bool {
	return s.gossips() || len(s.oort.Static) > 0 || s.oort.Secret != ""
}
