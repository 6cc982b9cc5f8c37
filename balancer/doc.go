// Package balancer is a reverse proxy for Bayeux servers: it keeps each client with
// the comet that has its session, knows which requests may be sent again, and where
// no comet can answer, answers in Bayeux itself.
//
// # The road of a request
//
//	        request ── route: clientId, cookie, address ── decision: comet, or owner down, or nobody
//	                        ▲                                  │            │              │
//	gossip, list ─▶ fleet ──┘ snapshot                         ▼            │              ▼
//	checks ───────▶  ▲                    roundTrip ◀─ retries │            │        wait for one
//	                 │ refused, unreachable,  │                │            │              │
//	                 └ answered ──────────────┘                ▼            ▼              ▼
//	                                             relay, or tunnel     402, handshake   503, retry
//
// "Who" gets a request is decided by [route], a pure function of the request and of
// an immutable snapshot of the comets. "How" it gets there is a loop around one
// function of rules (afterFailure): each failure has a stage that tells how far the
// request came, and the rules say what follows from it.
//
//   - A refused dial proves that the process is gone: the comet is down at once.
//   - A dial that hangs, or a connection that breaks, proves nothing: the comet is
//     dialled for up to Limits.Redial, and the request sent there again if it may be.
//   - Handshake, connect, subscribe, unsubscribe and disconnect may be sent again.
//     Whatever else is sent again only when it is certain that the comet read nothing
//     of it: it could not be written at all, or the connection ended with nothing
//     acknowledged (Linux tells, by TCP_INFO). After a reset one cannot be certain:
//     a reset says nothing of what was read before it.
//   - A comet that goes down, found out by whatever, sets free what waits for it.
//   - A client that hangs up while its messages wait, if only with its sending half,
//     gets no answer. The connection to the comet is closed at once, so that the comet
//     keeps for the next poll what it would have sent. (On Linux; elsewhere it is not
//     noticed.)
//
// # The states of a comet
//
// What a comet is made of (condition: how it answers, whether it drains, whether it is
// full) is moved by events in one function, next; its [State] follows from that. Checks,
// requests, the gossip, the admin and the list make the events:
//
//	          checks or clients in doubt        too many checks fail, refused
//	Healthy ───────────────────────────▶ Suspect ───────────────────────────▶ Down
//	   ▲  ▲                                 │                                   │
//	   │  └─────────── checks succeed ──────┴───────────────────────────────────┘
//	   └─▶ Full, while it is at a limit;  Draining, while there is a reason to leave it
//
// What proves nothing (everything but a refused connection) leaves out no more of the
// fleet at a time than Outliers.MaxEjected.
//
// # What clients see
//
//	its comet is down           connect: 402::session_unknown, advice handshake, the
//	                            interval spread over the herd; others: 402, no advice
//	and no other is healthy     connect: likewise, when one is, or after Limits.Hold
//	                            with an interval of Limits.RetryMin to RetryMax
//	its comet was lost while it
//	had a publish               502::comet_lost for each message; never sent twice
//	no comet is healthy         after Limits.Hold: 503::no_comet, advice retry
//	an upgrade, and no comet    after Limits.Hold: accepted, its first message answered
//	                            likewise, closed with 1013
//	its comet drains            its next connect: at once, with what waits, and 402, advice
//	                            handshake; WebSocket: closed with 1012
//	its WebSocket's comet goes  closed with 1012, plainly within a frame
//	it drains                   likewise, spread over the time that the drain has, but in
//	                            order: the comet is told first, by a close frame as if it
//	                            were the client's, and what it says before its own comes
//	it takes nothing            WebSocket closed after Limits.WriteTimeout, as is one
//	                            whose comet takes nothing (1012)
//	the balancer stops          WebSockets closed with 1001, spread over Config.StopTime, in
//	                            order;
//	                            held polls answered with what waits, success and advice
//	                            retry: the session lives on (stoppoll.go)
//	its comet is at a limit     it waits up to Limits.QueueTime, then 503::no_comet, advice
//	                            retry; a handshake goes to another comet
//	anything a comet answers    that, whatever its status; but a handshake that a comet of
//	                            ours denies because it leaves goes to another
//	another path                the comet's answer; 502, 503 (Retry-After) or 504 in
//	                            plain text where there is none
//
// All answers in Bayeux have HTTP status 200, since CometD's client looks at the
// body of no other, and the CORS headers that a comet would send; to a request by
// JSONP they are a script. An advice always has a timeout beside its interval,
// because that client takes its own default for what is missing.
//
// # What passes through
//
// Path, query, host, header values and bodies pass byte for byte; the names of
// headers in their canonical spelling. Hop-by-hop headers end here. Added are
// X-Forwarded-For, -Proto and -Host (what a trusted proxy wrote there is kept, what
// anybody else did is dropped), the id of the request, a trace if one is to be begun,
// and the browser cookie when one is minted. Nothing else is invented, also not Date,
// Server or Content-Type. Trailers of requests, and
// interim answers (1xx), are left out. An upgrade to WebSocket is a tunnel of bytes:
// the 101 and all frames pass as they were written, but for the cookie in the 101.
//
// Other paths are full duplex: an answer that begins before the body of its request
// is over is passed on while the rest of the body is, each in its own time; only the
// first 8 KiB of a body of known length are awaited before the request is sent on.
// The client is told that its connection will close after such an answer. When the
// answer ends first, or either side goes away, the connection to the comet ends, and
// the client's: gently (what it still sends is read for up to 1 s) if it may have an
// answer to read.
//
// Requests that parsers may read in two ways are refused (oddHead), or brought into one
// form: bodies are framed anew; a Content-Length beside a Transfer-Encoding, other
// codings than chunked, folded headers, bare LFs, names that are none, methods in small
// letters, CONNECT, TRACE and versions other than HTTP/1.0 and 1.1 are refused, upgrades
// other than to WebSocket are not passed on, and a connection ends after a request whose
// body was not read to its end, or had trailers.
//
// # Configuration
//
// The configuration in force is an immutable snapshot (live), which [Balancer.Reload]
// swaps as a whole. A request takes it once and keeps it to its end; what lives longer,
// such as a tunnel, has the limits with which it began. Each setting has one name, which
// follows from its field, is that of the flag, and stands before each complaint of
// [Config.Validate].
//
// # Too many
//
// What begins a session is admitted at a pace (admission, pace): a handshake by its
// message, a WebSocket by its upgrade. Connections are counted at the door; each has a
// ticket, which goes along when the connection does, from server to lane to tunnel, and
// is given back by the last who has it.
//
// # Lanes
//
// The everyday request needs none of this, and goes by a lane: it is read, routed and
// written in an event loop, and waits there for its answer. It is a whole POST of at
// most 16 KiB, of HTTP/1.1, with messages in it and no handshake, on a plain connection
// on Linux, with nothing behind it, for a comet on plain TCP that is certain, not at a
// limit, and not to be told by a PROXY header; its answer has a Content-Length and is
// 32 KiB at most. All else leaves the lane for the handler
// (halley_balancer_lane_exits_total says why): so does what fails, with its stage, and
// what follows is decided as if the handler had sent it. An answer that has begun goes
// along with the connection on which it comes. When it is over the connection goes back
// to its lane. Lanes have the requests of [Balancer.Serve]; a handler of one's own sees
// every request, and has no lanes.
//
// A poll in a lane is two sockets, about half a kilobyte, and a copy of its request in
// case it has to be sent again. In an answer that passes, headers keep the order and
// spelling that the comet gave them; through the handler they have fasthttp's.
//
// # Goroutines
//
// [New] starts none. [Balancer.Run] owns one that follows the gossip, one that looks
// at the file of comets, one for each name that is looked up, one for each comet that
// checks it, and one that tidies connections up. [Balancer.Serve] owns one
// for each processor, in which the lanes and the tunnels are, and the server's: one for
// each connection that is in no lane, in which its request waits (when many leave the
// lanes at once, two for each processor begin at a time); one beside it while a body is
// passed on as it comes, which ends before its request and answer do; and one that
// watches the clients whose requests wait there. Where the loops cannot carry it, under
// TLS and on other systems than Linux, a connection has one and a tunnel two of its
// own. A tunnel holds no buffer while nothing moves, and a waiting request none for its
// answer.
//
// # Locks
//
// What is in a lane belongs to its loop's goroutine, and takes no lock for a request.
//
// fleet.mu (comets and their states), gate.mu (who queues for a comet; entering and
// leaving take no lock), evidence.mu (what clients met with), upstream.mu (the
// connections to one comet), upload.mu (the deadlines of one), learnt.mu (the sessions
// that are learnt), admission.mu, door.mu, the mutex of each tunnel.Set, clients.mu, and
// live.mu, during a reload. But for the last none is held while another is taken; what
// the fleet causes (waiting broken off, tunnels closed) happens after fleet.mu is free.
package balancer
