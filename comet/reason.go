package comet

// Refusal is why a request or a frame was not taken for a list of messages. It
// is the label "reason" of halley_comet_refused_total, and a field of the log.
type Refusal string

// The refusals. HTTP status or WebSocket close code in brackets.
const (
	RefusedJSON      Refusal = "json"                // [400, 1007] not JSON in UTF-8
	RefusedShape     Refusal = "shape"               // [400, 1007] JSON, but no list of messages, or a field twice
	RefusedAlone     Refusal = "handshake_not_alone" // [400, 1008] a handshake among other messages
	RefusedTooLarge  Refusal = "too_large"           // [413, 1009] over MaxMessageSize
	RefusedHeader    Refusal = "header_too_large"    // [431]
	RefusedHTTP      Refusal = "http"                // [400] not HTTP
	RefusedSlow      Refusal = "read_timeout"        // [408] the request did not come in time
	RefusedMethod    Refusal = "method"              // [405]
	RefusedTransport Refusal = "transport"           // [400] a GET that is neither JSONP nor an upgrade, or a bad upgrade
	RefusedCallback  Refusal = "callback"            // [400] a JSONP callback that is no plain name
	RefusedPath      Refusal = "path"                // [404] not under Path
	RefusedOrigin    Refusal = "origin"              // [403]
	RefusedBinary    Refusal = "binary_frame"        // [1003]
	RefusedFrame     Refusal = "frame"               // [1002] not the frames of a WebSocket client
	RefusedPeerPlain Refusal = "peer_not_plain"      // an Oort handshake with an Origin header or over JSONP
	RefusedPeer      Refusal = "peer"                // an Oort handshake that the cloud denied
	RefusedPolicy    Refusal = "policy"              // a handshake that the security policy denied
	RefusedLeaving   Refusal = "leaving"             // the comet is going away
	RefusedFull      Refusal = "sessions"            // a handshake over MaxSessions
	RefusedDepth     Refusal = "depth"               // [400, 1007] JSON nested too deeply
	RefusedPanic     Refusal = "panic"               // [500, 1011] a fault of ours
)

// Drop is why messages were not delivered that waited for a session or were to, or why
// a session was cut. It is the label "reason" of halley_comet_drops_total and
// halley_comet_cuts_total, and a field of the log.
type Drop string

const (
	// DropQueueMessages and DropQueueBytes: the queue of the session was full; it was
	// cut, or the message dropped, by Config.FullQueue.
	DropQueueMessages Drop = "queue_messages"
	DropQueueBytes    Drop = "queue_bytes"
	// DropUnackedMessages and DropUnackedBytes: likewise, with messages in it that its
	// client got and did not acknowledge.
	DropUnackedMessages Drop = "unacked_messages"
	DropUnackedBytes    Drop = "unacked_bytes"
	// DropTotalBytes: likewise, because the queues of all sessions together were full.
	DropTotalBytes Drop = "total_bytes"
	// DropProcessing: the session had messages waiting when it was silent for longer
	// than MaxProcessing with its connect held.
	DropProcessing Drop = "processing"
	// DropExpired: the session expired with messages waiting.
	DropExpired Drop = "expired"
	// DropLeaving: they came when the client had been sent away, because the comet
	// leaves, and before it subscribed elsewhere.
	DropLeaving Drop = "leaving"
	// DropServer: the program ended the session. By Session.Disconnect those messages are
	// lost that no socket and no answer takes along, by Session.Expire all that waited.
	DropServer Drop = "server"
	// DropReplaced: the cloud ended the session of a peer, whose messages are lost where
	// no socket and no answer takes them along.
	DropReplaced Drop = "replaced"
)

// release is why a held /meta/connect was completed.
type release int

const (
	releaseMessages release = iota // something to deliver
	releaseTimeout                 // held for as long as was allowed
	releaseReplaced                // a newer connect of the session took over
	releaseEnded                   // the session was disconnected in order
	releaseCut                     // the session was cut, or expired
	releaseHangup                  // the client is gone
	releaseLeaving                 // the comet is going away
	releaseCrowded                 // not held: its browser holds too many
)
