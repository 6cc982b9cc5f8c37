// Package comet is a Bayeux server: a library, and a fasthttp handler, that
// speaks the protocol of Bayeux 1.0 as CometD's clients expect it, over
// long-polling, callback-polling (JSONP) and WebSocket. A comet serves alone, or
// as part of a cloud of comets (see [Cloud]); of balancers it knows nothing but
// the form of the clientIds and cookies that it mints.
//
// # The way of a message
//
//	POST, form    ─┐                                         ┌─▶ the answer to any request
//	GET (JSONP)   ─┼─▶ exchange ─▶ channels ─▶ queue of each ─┼─▶ a held /meta/connect
//	WebSocket     ─┘   (rules)    (fan-out)     session       └─▶ frames on its socket
//
// A session is one state machine (see [State]) with one bounded queue, and the
// transports are three ways to it. A broadcast is encoded once per form (JSON,
// frame, compressed frame), and its bytes are shared by all subscribers; data and
// ext travel as the text that was sent.
//
// A held connect is an object that is completed by whoever is first: a message,
// its timer, a newer connect of the session, its end, the client's hang-up (noticed
// at once on Linux), or the comet's leaving.
//
// # Guarantees
//
//   - Per publisher and channel, messages leave in the order in which the comet
//     read them, for each subscriber: on its WebSocket, or in one HTTP answer after
//     the other. A client with two requests on two connections (a held connect, and
//     a publish whose answer carries messages, too) gets two answers, each in
//     order; which of the two it reads first is not in the comet's hands. A message
//     is queued for every local subscriber before its publisher gets the reply.
//   - At most once. What a broken WebSocket did not take stays in the queue; what
//     an HTTP answer carried is not repeated, even if it never arrived.
//   - With the ack extension, at least once and in one order while the session
//     lives: what was sent is sent again with each connect reply, on any transport,
//     until the client acknowledges the number of one.
//   - One session, one copy, whatever the number of its matching subscriptions.
//   - A newer connection takes a session over atomically, on any transport:
//     nothing is lost, doubled or overtaken between the old one and the new one.
//     What the client itself has not read of the old one is its own affair.
//   - A client that does not read delays nobody: its messages queue up to a limit
//     (then the session is cut), its connection is closed after a write timeout
//     (also when it takes a few bytes now and then), its own requests wait for its
//     own replies, and of its pings only the newest is answered.
//   - In an HTTP answer: messages, then replies in the order of the requests, then
//     the reply to a connect. On a WebSocket: messages before the replies of the
//     frame that caused them. With delivery by connects only (the ack extension,
//     MetaConnectDeliverOnly, callback-polling) the messages of a connect reply, then
//     that reply, and none elsewhere. What is sent during a handshake follows its
//     reply.
//   - Nothing is lost silently: see [Drop] and [Refusal] for the reasons that are
//     counted.
//
// # For those who embed it
//
// [Server.Serve] has a listener of its own; [Server.Handler] is for a fasthttp server
// that serves other things too, best made by [Server.FasthttpServer] and with a
// listener from [Server.Parking]. What CometD's users know is here under these names:
//
//	SecurityPolicy       SecurityPolicy, Server.SetPolicy: handshake, create, subscribe, publish
//	Authorizer           Channel.AddAuthorizer, GrantTo; asked after the policy
//	ServerChannel        Server.Channel: listeners, subscribers, publish, lazy, persistent
//	AbstractService      Server.HandleService: a function answers on a channel
//	@RemoteCall          Server.HandleCall: a function that may take its time
//	ServerSession        Session: deliver, disconnect, attributes, timeouts of its own
//	LocalSession         Server.NewLocalSession
//	SessionListener      Server.AddSessionListener, Session.OnRemoved
//	SubscriptionListener Server.AddSubscriptionListener, Channel.AddSubscriptionListener
//	Extension            Server.AddExtension, Session.AddExtension; comet/ext has some
//
// A message of a client is dealt with in CometD's order: its channel and id are
// checked; the extensions of the server and then of the session see it; its session
// is checked; a channel that does not exist is to be created (policy, then
// authorizers); the operation is decided on (policy, then authorizers); listeners and
// services see what is published, the widest pattern first; outgoing extensions do;
// it is queued for the subscribers; outgoing extensions see the reply. Of each
// callback its type says in which goroutine it is called and what its result does.
// All of them
//
//   - run under no lock of the comet, and may call everything of this package (only a
//     listener that publishes on its own channel without end is on its own);
//   - may block: that delays the messages of the client whose request it is, and
//     whoever publishes to it; remote calls delay nobody;
//   - may panic: that is logged, the message is answered with 500::internal_error,
//     and nothing else happens;
//   - may be added and removed at any time ([Server.SetPolicy] and [Server.SetCloud]
//     excepted), for messages from then on.
//
// Where nothing is registered nothing of this costs anything, and a broadcast is
// encoded once and shared in any case, unless a subscriber has extensions of its own
// that see what it gets.
//
// Other comets are no sessions here: no policy, authorizer or listener is asked about
// them. What they forward reaches the listeners of channels with
// [Message].Forwarded set, at each comet where somebody has subscribed, be it a local
// session; services and remote calls answer only who sent to this comet.
//
// # On the wire
//
// Any path at or below Config.Path is the same endpoint. A request is an array of
// messages or one message: as the body of a POST of any content type, in the
// message fields of a form, in the message parameters of a GET with a jsonp
// callback, or in a text frame. Errors of the protocol are replies (HTTP 200);
// what is no list of messages is refused:
//
//	400, 1007   no JSON in UTF-8, or no messages; a protocol field twice in one;
//	            nested deeper than bayeux.MaxDepth
//	400, 1008   a handshake that is not alone
//	413, 1009   larger than MaxMessageSize; 431 for the header of a request
//	1002        bytes that are no frames of a WebSocket client
//	1003        a binary message
//	403         an Origin that is not allowed, for every method and for upgrades
//	404, 405    another path, another method than GET, POST, OPTIONS
//	500, 1011   a fault of ours
//
// Close code 1000 says that the session moved to another connection, 1012 that the
// comet drains and the client is to come back elsewhere, 1001 that the comet leaves.
//
// # Deliberate differences from CometD's server
//
//   - Advice goes with every connect reply, not only when it changed, and always
//     with a timeout: CometD's JavaScript client falls back to its own defaults
//     for what is missing. 402 has it too.
//   - What makes CometD fail with HTTP 500 is answered: [] with [], a malformed
//     channel with 405::channel_invalid or 403::subscription_invalid, a malformed
//     advice as none, a handshake among others with 400.
//   - An empty subscription array is 403::subscription_missing; CometD's reply
//     has no successful.
//   - A broadcast message without data is refused (400::data_missing): subscribers
//     would take it for a reply. So is one to a pattern (405::channel_invalid).
//   - A subscriber never sees advice, successful or error of what was published:
//     clients obey them.
//   - Sessions are found by clientId alone (TrustClientSession is on by default),
//     also with another cookie, and may change between all transports: clients
//     without a cookie jar would fail otherwise. On a WebSocket, a frame for another
//     session moves the socket to it.
//   - Over WebSocket the other replies of a frame do not wait for its connect, and
//     the reply to a held connect comes before that to a disconnect: CometD's
//     JavaScript client does not close its socket otherwise.
//   - A WebSocket may be opened on any path below Path; a binary message is
//     refused rather than ignored; an older socket of a session is closed.
//   - Origins are checked, the same host being the default; CORS is built in.
//   - What a client asks for by advice.timeout and advice.interval is capped by
//     Timeout.
//   - When the client of a held connect is gone its session's time runs from
//     then, not from the end of the hold.
//   - Queues are bounded by default, for each session and in all; a session over
//     the limit is cut, or the message dropped (FullQueue). So are subscriptions and
//     channels: one client could fill the memory of all.
//   - An acknowledgement of a number that was never given acknowledges nothing:
//     CometD forgets everything, also what the client cannot have got. What is not
//     acknowledged fills the queue, and the session is cut in the end
//     (CVE-2025-53114).
//   - The timer of lazy messages is armed again after another message has taken the
//     first ones along. In CometD later ones wait for the end of the connect. Links
//     to other comets get lazy messages at once: each comet has its own laziness.
//   - The advice multiple-clients is taken back with the next reply that is not
//     crowded: CometD's client would go on polling. What is not to be held is not
//     counted, and neither is a client without the cookie.
//   - Without AllowMessageDeliveryDuringHandshake, what is queued for a session on a
//     WebSocket leaves with the client's first message, as in CometD, but never
//     before the reply to the handshake. With connect-only delivery a connect that
//     is replaced leaves its messages to the one that replaced it.
//   - MaxProcessing must exceed Timeout: CometD would end sessions whose connect is
//     held.
//   - A handshake beyond MaxSessions is denied with the advice to try again in 5 s:
//     CometD has no limit.
//   - A channel exists while it has subscribers, so to unsubscribe from one that
//     nobody has subscribed to is 400::channel_missing at once.
//   - /oort/, /seti/ and /service/oort are closed to ordinary clients, with or
//     without a cloud.
//   - Callbacks that fail are answered in the protocol (500::internal_error), where
//     CometD answers HTTP 500 to some and success to others. What a handshake was
//     denied for can stand in its error (403:reason:handshake_denied).
//   - Remote calls run beside the other messages of their caller, and their number is
//     bounded: 503::too_many_calls.
//   - Publishing creates no channel that stays: the decision to create is asked for
//     again, until somebody subscribes or the program says something of the channel.
//   - Another method is 405, not 400.
//
// # Goroutines
//
// [New] starts none, and a remote call and the callbacks of a local session have one
// while they run. [Server.Run] is the sweeper; it starts the watch for hang-ups, and
// ends it. A connect that is held for more than a few milliseconds, and
// a connection that is idle between two requests, have no goroutine and no buffer:
// they are parked (parked.go, on internal/park), whose set tells when the client hangs
// up or sends something. A held connect is then answered by the flusher, and what its client does
// not take at once by a goroutine, which has the write timeout; a connection that
// comes back is served by a goroutine, of which a few begin at a time. Where
// connections cannot be parked, and for requests that were sent right behind one that
// is held, handlers wait in fasthttp's goroutines.
//
// A WebSocket on which nothing moves has none: a goroutine reads it while there is
// something to read, and what is to be written to WebSockets is written, without
// waiting for any client, by the few goroutines of the flusher, which live only while
// there is something to write. Where connections cannot be parked (TLS, a system
// other than Linux, a server without Run) each WebSocket has a goroutine that reads,
// and another one while there is something to write. [Server.Serve] adds those of
// fasthttp.
//
// # Locks
//
// In this order, where more than one is held:
//
//	interest (one call to the cloud at a time)
//	channels (subscriptions; read-locked during fan-out)
//	session  (its state and queue)
//	socket   (its replies, and the states of its reader and its writer)
//
// A local session has one below its session's, and the extras of a session (attributes,
// remote calls), the registrations and the lists of callbacks have leaves. No callback
// is called under any of them.
//
// The locks of the registry, the browsers and the flusher are leaves, and so are, seen
// from here, those of internal/park: it calls the comet under none. The cloud is
// called under none but interest's; so [Cloud].Interest must neither Deliver nor end
// ordinary sessions, and may do everything else. Nothing is written to a connection
// under a lock.
package comet
