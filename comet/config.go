package comet

import (
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/sticky"
)

// Config is what a comet is made from. Begin with [DefaultConfig]; it is not
// read again after [New]. Names in brackets are those of the settings, which
// [Config.Validate] uses in its complaints.
type Config struct {
	// Name [name] is the comet's stable name. The cookies it mints carry a tag
	// made from it, so it must differ between the comets of one cloud and stay
	// the same when the comet is started again. Needed; no default.
	Name string

	// Tag is the tag of this incarnation, with which every clientId begins. By
	// default it is drawn at random by New; give it only to announce the same
	// one elsewhere (the cluster does).
	Tag sticky.Tag

	// Path [path] is the prefix under which Bayeux is spoken: any path at or
	// below it is the same endpoint. Default "/cometd".
	Path string

	// AllowedTransports [allowed-transports] are the transports that are accepted, in
	// the order in which handshake replies announce them: "websocket", "long-polling",
	// "callback-polling". Default all three, in this order.
	AllowedTransports []string

	// Timeout [timeout] is how long a /meta/connect is held. A client may ask
	// for less, not for more. Default 20 s, as CometD 8.
	Timeout time.Duration

	// Interval [interval] is the pause that clients are advised to make between
	// the answer to a /meta/connect and the next. Default 0.
	Interval time.Duration

	// MaxInterval [max-interval] is how long a session without a connect lives
	// beyond Interval; after that it expires. Default 10 s, as CometD.
	MaxInterval time.Duration

	// MaxProcessing [max-processing] is how long a session lives without any message
	// of its client while its connect is in work or held. It must exceed Timeout.
	// Default 0: for as long as that takes; so does a negative one (CometD's -1).
	MaxProcessing time.Duration

	// MaxLazyTimeout [max-lazy-timeout] is how long a lazy message waits at most for
	// others to leave with, where its channel has no time of its own. Default 5 s, as
	// CometD. 0 or less: lazy messages leave at once.
	MaxLazyTimeout time.Duration

	// LazyChannels [lazy-channels] are broadcast channels and patterns whose messages
	// are lazy, each with a time of its own if it is followed by it: "/news/**",
	// "/ticks=500ms". Default none. (In CometD it is the application that says so.)
	LazyChannels []string

	// HandshakeReconnect [handshake-reconnect] puts maxInterval into the advice,
	// with which clients that were away too long handshake by themselves. Off by
	// default, as in CometD.
	HandshakeReconnect bool

	// SweepPeriod [sweep-period] is how often expired sessions are looked for.
	// Default 997 ms, as CometD.
	SweepPeriod time.Duration

	// BroadcastToPublisher [broadcast-to-publisher] lets a publisher that has
	// subscribed get its own messages. Default on, as in CometD.
	BroadcastToPublisher bool

	// MetaConnectDeliverOnly [meta-connect-deliver-only] lets messages leave with the
	// replies to connects only, also over WebSocket, which makes one order of all that
	// a client gets. Default off, as in CometD. (Always so over callback-polling, and
	// for a session with the ack extension.)
	MetaConnectDeliverOnly bool

	// AllowMessageDeliveryDuringHandshake [allow-message-delivery-during-handshake]
	// sends what is queued for a session while it is made right behind the reply to
	// its handshake, which then has their number as x-messages. Default off, as in
	// CometD: it leaves with the first connect.
	AllowMessageDeliveryDuringHandshake bool

	// AckExtension [ack-extension] offers the extension of acknowledged messages to
	// clients that ask for it. Default on. (In CometD an application adds it.)
	AckExtension bool

	// ValidateMessageFields [validate-message-fields] refuses message ids that are not
	// made of letters and digits. Default on, as in CometD. (Channel names are always
	// checked: the other comets of a cloud would refuse them.)
	ValidateMessageFields bool

	// MaxMessageSize [max-message-size] bounds the body of a request, the
	// message parameters of a GET, and a WebSocket message, also when it is
	// decompressed. Bytes; default 64 KiB.
	MaxMessageSize int

	// MaxQueue [max-queue] and MaxQueueBytes [max-queue-bytes] bound what waits
	// for one session, in messages and in bytes; what was sent and not acknowledged
	// waits. Default 5000 and 4 MiB. (CometD has no limit unless a listener enforces
	// one.)
	MaxQueue      int
	MaxQueueBytes int

	// MaxTotalQueueBytes [max-total-queue-bytes] bounds what waits in all sessions,
	// beyond the first 4 KiB of each, and in large answers that clients do not take;
	// one for which there is no room is not sent, and its connection is closed. A message that waits for many counts for each,
	// although it is kept once. Default 1 GiB.
	MaxTotalQueueBytes int

	// FullQueue [full-queue] is what happens when a message finds no room: "cut", the
	// default, ends the session, whose client learns with 402 that it missed something,
	// which a gap in the stream would not tell it; "drop" drops the message. (A session
	// with the ack extension is always cut.)
	FullQueue FullQueue

	// PeerQueueFactor [peer-queue-factor] is by how much the limits of a session are
	// larger for the sessions of other comets, which carry the traffic of many clients.
	// Default 16.
	PeerQueueFactor int

	// MaxSessions [max-sessions] is how many clients may have a session; more are
	// refused, with advice to try again after 5 s. Default 0: no limit.
	MaxSessions int

	// MaxSubscriptions [max-subscriptions] is how many channels and patterns one
	// session may subscribe to, MaxChannels [max-channels] how many there may be with
	// subscribers. More are denied: 403:denied_by_limit. Default 1000 and 200,000; 0: no
	// limit. Other comets are not limited.
	MaxSubscriptions int
	MaxChannels      int

	// MaxSessionsPerBrowser [max-sessions-per-browser] is how many connects are held
	// at once for one value of the browser cookie, on each HTTP transport; further ones
	// are answered at once, with advice to poll in MultiSessionInterval
	// [multi-session-interval], until there is room. Clients without the cookie are not
	// limited. Negative: no limit. 0: with the cookie none is held. Default 1 and 2 s,
	// as CometD. An interval of 0 or less refuses them, with advice none.
	MaxSessionsPerBrowser int
	MultiSessionInterval  time.Duration

	// TrustClientSession [trust-client-session] lets whoever knows a clientId speak for
	// it, also with another browser cookie or none. Default on, unlike CometD, where
	// clients without cookies fail. Off, a request over HTTP needs the cookie that its
	// handshake had or got; a session of WebSocket cannot be used over HTTP then.
	TrustClientSession bool

	// DuplicateMetaConnectHTTPResponseCode
	// [duplicate-meta-connect-http-response-code] is the HTTP status of a held
	// /meta/connect that a newer one of the same session replaced. Default 500, as
	// CometD; at least 400.
	DuplicateMetaConnectHTTPResponseCode int

	// CallbackParameter [callback-parameter] is the parameter of a GET that names the
	// JSONP callback, CallbackParameterMaxLength [callback-parameter-max-length] how
	// long that name may be, at most 64 characters. Default "jsonp" and 64, as CometD.
	CallbackParameter          string
	CallbackParameterMaxLength int

	// Origins [origins] are the web origins that may use this comet, over HTTP
	// and WebSocket alike: "https://a.example", "https://*.a.example", or "*"
	// for any. Empty, the default: those whose host is that of the Host header.
	Origins []string

	// Cookie holds the name and attributes of the cookie that pins a browser.
	Cookie bayeux.Cookie

	// WebSocketProtocol [ws-protocol] is the subprotocol that a WebSocket must offer;
	// others are refused. Empty, the default: none is needed, and what is offered is
	// ignored, as in CometD.
	WebSocketProtocol string

	// WebSocketPermessageDeflate [ws-enable-extension-permessage-deflate] lets WebSocket
	// clients negotiate permessage-deflate; only large frames are compressed then.
	// Default on.
	WebSocketPermessageDeflate bool

	// WebSocketMessagesPerFrame [ws-messages-per-frame] is how many messages go into one
	// frame; 0 or less: all that wait. Default 1, as CometD: such frames are made once
	// for all subscribers.
	WebSocketMessagesPerFrame int

	// WebSocketIdleTimeout [ws-idle-timeout] closes a WebSocket on which nothing
	// came in for so long. Default 5 minutes, as Jetty under CometD; it must
	// exceed Timeout.
	WebSocketIdleTimeout time.Duration

	// RequireHandshakePerConnection [ws-require-handshake-per-connection] refuses a
	// clientId on another WebSocket than that of its handshake, with 402. Default off,
	// as in CometD: a client comes back on a new socket without a handshake.
	RequireHandshakePerConnection bool

	// WriteTimeout [write-timeout] is the time in which a client must take what is
	// written to it, or 64 KiB of that; otherwise its connection is closed. The
	// session and its queue stay, for the next connection. Over HTTP it does not run
	// while a connect is held. Default 10 s.
	WriteTimeout time.Duration

	// ReadTimeout [read-timeout] is how long a request may take to come in, and
	// IdleTimeout [idle-timeout] how long a connection is kept between requests.
	// Both are used by FasthttpServer only. Default 30 s and 2 minutes.
	ReadTimeout time.Duration
	IdleTimeout time.Duration

	// DrainRate [drain-rate] is how many sessions a second are sent away, at least,
	// when the comet leaves in order. Default 1000.
	DrainRate int

	// ShutdownTimeout [shutdown-timeout] bounds the end of Run: how long it waits
	// for sockets to take what is queued for them. Default 5 s.
	ShutdownTimeout time.Duration

	// RequestHeaders [request-headers] are the headers of HTTP requests and of the
	// upgrades of WebSockets that callbacks can read, see [Message.Header]. They are
	// kept for as long as a socket is open, if a callback is registered when it is
	// opened. Default Authorization and Cookie.
	RequestHeaders []string

	// CallTimeout [call-timeout] is how long a remote call may take; then its caller
	// gets an error, and its context ends. Default 30 s.
	CallTimeout time.Duration

	// MaxSessionCalls [max-session-calls] and MaxCalls [max-calls] bound the remote
	// calls that run at once, for one session and for all. One more is refused with
	// 503::too_many_calls. Default 32 and 1024.
	MaxSessionCalls int
	MaxCalls        int

	// Log gets what an operator should know. Default: nothing is logged.
	Log *zap.Logger
}

// DefaultConfig is a configuration that lacks only its Name.
func DefaultConfig() Config {
	return Config{
		Path:                                 "/cometd",
		AllowedTransports:                    []string{"websocket", "long-polling", "callback-polling"},
		MaxLazyTimeout:                       5 * time.Second,
		BroadcastToPublisher:                 true,
		AckExtension:                         true,
		ValidateMessageFields:                true,
		MaxTotalQueueBytes:                   1 << 30,
		FullQueue:                            FullQueueCut,
		MaxSubscriptions:                     1000,
		MaxChannels:                          200_000,
		MaxSessionsPerBrowser:                1,
		MultiSessionInterval:                 2 * time.Second,
		TrustClientSession:                   true,
		DuplicateMetaConnectHTTPResponseCode: 500,
		CallbackParameter:                    "jsonp",
		CallbackParameterMaxLength:           bayeux.MaxCallbackLen,
		WebSocketPermessageDeflate:           true,
		WebSocketMessagesPerFrame:            1,
		WebSocketIdleTimeout:                 5 * time.Minute,
		Timeout:                              20 * time.Second,
		MaxInterval:                          10 * time.Second,
		SweepPeriod:                          997 * time.Millisecond,
		MaxMessageSize:                       64 << 10,
		MaxQueue:                             5000,
		MaxQueueBytes:                        4 << 20,
		PeerQueueFactor:                      16,
		Cookie:                               bayeux.DefaultCookie(),
		WriteTimeout:                         10 * time.Second,
		ReadTimeout:                          30 * time.Second,
		IdleTimeout:                          2 * time.Minute,
		DrainRate:                            1000,
		ShutdownTimeout:                      5 * time.Second,
		RequestHeaders:                       []string{"Authorization", "Cookie"},
		CallTimeout:                          30 * time.Second,
		MaxSessionCalls:                      32,
		MaxCalls:                             1024,
	}
}

// FullQueue is what happens when a message finds no room in a queue.
type FullQueue string

const (
	FullQueueCut  FullQueue = "cut"  // the session ends
	FullQueueDrop FullQueue = "drop" // the message is dropped
)

func (c *Config) allows(t transport) bool { return slices.Contains(c.AllowedTransports, t.String()) }

func (c *Config) subprotocols() []string {
	if c.WebSocketProtocol == "" {
		return nil
	}
	return []string{c.WebSocketProtocol}
}
