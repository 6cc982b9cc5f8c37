// Package oort links a comet with the other comets of its cloud, over the wire
// protocol of CometD's Oort, so that Go and Java comets can be one cloud. The
// protocol is that of CometD 5.0 to 8.0, where it is the same in all; statements of
// the form "CometD does …" are about these.
//
// # The picture
//
//	clients ──▶ comet A ──link of A──▶ comet B ◀── clients
//	                 ◀──link of B────
//
// Every comet opens one link, an ordinary Bayeux session, to every other comet, at
// the public URL of its Bayeux endpoint, over WebSocket or else long-polling. What
// is published at B reaches A over the link that A has opened, because A has
// subscribed there: forwarding is a pull. A message that came over a link is given
// to the local clients and to no comet: one hop, in a full mesh.
//
// Who is linked: the comets that the cluster's views name ([Members]); those of
// Config.Static; those that link to us with the right secret, and those that these
// announce. A URL from anybody else is never dialled. The number of links is bounded.
//
// # Handshaking
//
// The handshake of a link carries
//
//	"ext":{"org.cometd.oort":{"oortURL":"<own URL>","oortId":"<UUID of this start>",
//	  "oortSecret":"<base64 of SHA-512 of the secret>","cometURL":"<URL dialled>",
//	  "oortAliasURL":"<URL under which the other side had contacted us>"}}
//
// the last only when we connect back. The reply, a refusal too, carries
// {"oortURL","oortId"} of the comet that answers. CometD leaves the check of the
// secret to the application; here it is always made, in constant time, and so is
// CometD's own check that cometURL is the receiver's URL. A comet that handshakes
// with itself is refused. Of two sessions of one incarnation the newer stands; a new
// incarnation at a known URL replaces the old one.
//
// CometD's links ask for the ack extension ("ext":{"ack":true}); it is the comet's
// to grant, and these links do not ask for it.
//
// # Joining
//
// A comet joins over the link that it opened, once it has the reply to its own
// handshake and has seen the handshake of the other side. The join is one batch:
//
//	/meta/subscribe  "/oort/cloud"
//	/meta/subscribe  one message for each channel observed
//	/oort/cloud      data: the URLs of the comets that it is linked to
//	/service/oort    data: {"oortId","oortURL"} of itself
//
// A join whose last reply is unsuccessful is repeated after Config.JoinRetry. It is
// repeated, too, when a lost connection is taken up again, since nobody knows what
// was lost with it. A batch of more than 32 KiB is cut into several, in order.
//
// # Interest
//
// A channel is observed at the other comets from its first local subscriber to its
// last, or always when it is one of Config.Channels. Each link drives what the peer
// has confirmed towards what is wanted, one batch at a time. When a session at a
// peer is over, everything that was learnt in it is forgotten, and learnt afresh
// with the next join. [Cloud.Confirmed] lets a subscribe reply wait until the links
// that stand have caught up.
//
// # Guarantees
//
//   - Per publisher and channel, messages are delivered in the order of the peer's
//     sending, once. At most once: what is published while a link is down is missed.
//   - Meta and service channels, and the cloud's own (/oort/**, /seti/**), never
//     pass from a link to local clients; each message not delivered is counted.
//   - Interest, PeerHandshake, PeerMessage and PeerGone do not block and call
//     nobody. Confirmed blocks for Config.ConfirmTimeout at most, and not twice in a
//     row for the same silent peer.
//
// # Goroutines
//
// New starts none. Run looks at the views, starts and stops links, and drops
// replaced sessions. Each link has one goroutine, which makes clients and sends
// batches; each client has its own, one of which calls back into the link and from
// there Comet.Deliver. When Run returns all have ended.
//
// # Locks
//
// One: Cloud.mu, over the tables and the links' states. Under it nothing is called
// but the logger and context cancellations.
package oort
