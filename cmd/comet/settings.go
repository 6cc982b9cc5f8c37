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
	extra    extensions
	url      string
	drain    time.Duration
}

func declareServe(s *cli.Settings) *settings {
	host, _ := os.Hostname() // without one, Check says that a name has to be given
	set := &settings{
		Settings: node.Declare(s, "127.0.0.1:8081", host, node.Usage{
			Listen: "Where clients, balancers and other comets connect,", Name: "The comet's stable name, as no other comet of the cloud has it.", Admin: "/healthz, /readyz, /metrics, /sessions, /channels, /log-level and /debug/pprof/",
		}),
		comet: comet.DefaultConfig(), oort: oort.DefaultConfig(), drain: 25 * time.Second,
	}
	s.String(&set.comet.Path, "path", "PATH", "The prefix under which Bayeux is spoken.")
	s.String(&set.url, "url", "URL", "How other comets and the balancers reach this one, never through a balancer (its Oort URL). The default is made from the address of --listen and --path.")
	s.List(&set.oort.Static, "oort", "URL", "Comets that do not gossip, by their Oort URLs.")
	s.List(&set.oort.Channels, "oort-channels", "CHANNEL", "Channels observed on all comets whether or not a client here listens.")
	s.Duration(&set.drain, "drain-timeout", "Within how long after SIGTERM all clients have been sent away, goodbye has been said and the process has ended.")
	declareComet(s, &set.comet)
	declareExtensions(s, &set.extra)
	declareSecurity(s, &set.security)
	s.Secret(&set.oort.Secret, "oort-secret", "What all comets of the cloud know, and nobody else.")
	return set
}

// declareComet declares what only the Bayeux server is concerned with. A setting that
// CometD has is named as there, with dashes (docs/options.md lists them all).
func declareComet(s *cli.Settings, c *comet.Config) {
	declareProtocol(s, c)
	declareLimits(s, c)
	declareTransports(s, c)
	node.DeclareCookie(s, &c.Cookie)
}

// declareProtocol declares what a client sees of the protocol.
func declareProtocol(s *cli.Settings, c *comet.Config) {
	s.Duration(&c.Timeout, "timeout", "For how long a /meta/connect is held.")
	s.Duration(&c.Interval, "interval", "The pause that clients are advised to make between two /meta/connect.")
	s.Duration(&c.MaxInterval, "max-interval", "For how long a session lives without a /meta/connect, beyond the interval.")
	s.Duration(&c.MaxProcessing, "max-processing", "For how long a session lives without a message of its client while its /meta/connect is held; it must exceed the timeout. 0 or less: for as long as that takes.")
	s.Duration(&c.SweepPeriod, "sweep-period", "How often expired sessions are looked for.")
	s.Bool(&c.HandshakeReconnect, "handshake-reconnect", "Put maxInterval into the advice, with which clients that were away for long handshake by themselves.")
	s.Bool(&c.BroadcastToPublisher, "broadcast-to-publisher", "Let a publisher that has subscribed get its own messages.")
	s.Bool(&c.MetaConnectDeliverOnly, "meta-connect-deliver-only", "Let messages leave with the replies to /meta/connect only.")
	s.Bool(&c.AllowMessageDeliveryDuringHandshake, "allow-message-delivery-during-handshake", "Send what is queued for a session while it is made with the reply to its handshake.")
	s.Bool(&c.AckExtension, "ack-extension", "Offer acknowledged messages to clients that ask for them.")
	s.Bool(&c.ValidateMessageFields, "validate-message-fields", "Refuse message ids that are not letters and digits.")
	s.List(&c.LazyChannels, "lazy-channels", "CHANNEL[=TIME]", "Channels and patterns whose messages may wait for others to leave with, for the time that follows or for --max-lazy-timeout.")
	s.Duration(&c.MaxLazyTimeout, "max-lazy-timeout", "For how long a lazy message waits at most.")
	s.Bool(&c.TrustClientSession, "trust-client-session", "Let whoever knows a clientId speak for it, also without the browser cookie of its handshake.")
	s.Int(&c.MaxSessionsPerBrowser, "max-sessions-per-browser", "CONNECTS", "How many /meta/connect are held at once for one browser cookie; 0: none, negative: any number. Clients without the cookie are not limited.")
	s.Duration(&c.MultiSessionInterval, "multi-session-interval", "The interval at which sessions beyond that are advised to poll; 0 refuses them.")
	s.Int(&c.DuplicateMetaConnectHTTPResponseCode, "duplicate-meta-connect-http-response-code", "STATUS", "The HTTP status of a held /meta/connect that a newer one replaced.")
}

// declareLimits declares what bounds the memory that clients can make the comet use.
func declareLimits(s *cli.Settings, c *comet.Config) {
	s.Bytes(&c.MaxMessageSize, "max-message-size", "The largest request body or WebSocket message.")
	s.Int(&c.MaxQueue, "max-queue", "MESSAGES", "How many messages may wait for a session.")
	s.Bytes(&c.MaxQueueBytes, "max-queue-bytes", "How much may wait for a session.")
	s.Bytes(&c.MaxTotalQueueBytes, "max-total-queue-bytes", "How much may wait for all sessions together.")
	cli.Enum(s, &c.FullQueue, "full-queue", []comet.FullQueue{comet.FullQueueCut, comet.FullQueueDrop}, "What happens to a message that finds no room: it ends the session, or it is dropped.")
	s.Int(&c.PeerQueueFactor, "peer-queue-factor", "FACTOR", "By how much the limits of a session are larger for other comets.")
	s.Int(&c.MaxSessions, "max-sessions", "SESSIONS", "How many clients may have a session; 0: any number.")
	s.Int(&c.MaxSubscriptions, "max-subscriptions", "CHANNELS", "How many channels and patterns a session may subscribe to; 0: any number.")
	s.Int(&c.MaxChannels, "max-channels", "CHANNELS", "How many channels and patterns may have subscribers; 0: any number.")
}

// declareTransports declares what belongs to HTTP and WebSocket.
func declareTransports(s *cli.Settings, c *comet.Config) {
	s.List(&c.AllowedTransports, "allowed-transports", "TRANSPORT", "The transports that are accepted, in the order in which they are announced.")
	s.List(&c.Origins, "origins", "ORIGIN", "Web origins that may use this comet, as https://a.example or https://*.a.example; * is any. Empty: those of the same host.")
	s.String(&c.CallbackParameter, "callback-parameter", "NAME", "The parameter of a GET that names the JSONP callback.")
	s.Int(&c.CallbackParameterMaxLength, "callback-parameter-max-length", "CHARACTERS", "How long that name may be.")
	s.String(&c.WebSocketProtocol, "ws-protocol", "NAME", "The subprotocol that a WebSocket must offer. Empty: none is needed.")
	s.Bool(&c.WebSocketPermessageDeflate, "ws-enable-extension-permessage-deflate", "Let WebSocket clients negotiate permessage-deflate.")
	s.Int(&c.WebSocketMessagesPerFrame, "ws-messages-per-frame", "MESSAGES", "How many messages go into one WebSocket frame; 0 or less: all that wait.")
	s.Duration(&c.WebSocketIdleTimeout, "ws-idle-timeout", "How long a WebSocket may be silent before it is closed.")
	s.Bool(&c.RequireHandshakePerConnection, "ws-require-handshake-per-connection", "Refuse a clientId on another WebSocket than that of its handshake.")
	s.Duration(&c.WriteTimeout, "write-timeout", "How long a client may take nothing from its connection before it is closed.")
	s.Duration(&c.ReadTimeout, "read-timeout", "How long a request may take to come in.")
	s.Duration(&c.IdleTimeout, "idle-timeout", "How long a connection is kept between requests.")
	s.Duration(&c.ShutdownTimeout, "shutdown-timeout", "How long the end waits for clients to take what is queued for them.")
	s.Int(&c.DrainRate, "drain-rate", "SESSIONS", "How many sessions a second are sent away, at least, when the comet leaves.")
}

// goodbye is how long one of the steps may take that follow the draining: d, unless
// drain-timeout is so short that a tenth of it is less.
func (s *settings) goodbye(d time.Duration) time.Duration { return min(d, s.drain/10) }

// clouded says whether this comet has links to other comets or lets them link to it.
func (s *settings) clouded() bool {
	return s.Gossips() || len(s.oort.Static) > 0 || s.oort.Secret != ""
}
