// Package client is a Bayeux client over WebSocket and long-polling. The links
// between comets, the tools (comet sub, pub, health) and the tests are built on
// it.
//
//	c, err := client.New(cfg)        // cfg := client.DefaultConfig("http://host/cometd"), with callbacks
//	err = c.Run(ctx)                 // blocks; handshake, connect, again and again
//	err = c.Subscribe(ctx, "/chat")  // from OnHandshake, or from anywhere while there is a session
//
// # A session
//
// Run handshakes over the first of Config.Transports that works, and goes on
// with the first that the server names too. Then one /meta/connect follows the
// other, as Bayeux wants it; the first of a session, and the first after a
// break, asks to be answered at once (advice timeout 0, as CometD's clients do).
//
//	what happens                                    what the client does
//	connection breaks, no answer in time, HTTP≠200  OnBreak; connects again with the same session, after a backoff
//	402, or advice "handshake"                      OnDisconnect; handshakes after the advised interval
//	advice "retry" in an unsuccessful reply         OnBreak; connects again after interval and backoff
//	advice "none", /meta/disconnect by the server   OnDisconnect; Run returns an error
//	handshake refused with other advice or none     handshakes again after interval and backoff
//	close code 1013, 1011, 1008                     as for a break, but not sooner than LaterDelay
//	WebSocket refused by an HTTP status             long-polling, for good (see below)
//	WebSocket never opened otherwise, though TCP did  long-polling for this session
//
// A watchdog stands over every request: a reply must come within
// MaxNetworkDelay, that of a /meta/connect within the advised timeout and
// MaxNetworkDelay; a WebSocket that fails this is closed, as CometD's
// JavaScript client does it. A WebSocket that has opened once is never given
// up for long-polling. Unlike CometD's client, this one does not take a server
// that is not there, nor a gateway's 502, 503, 504 or 429, for a server without
// WebSockets.
//
// The backoff doubles from BackoffMin to BackoffMax and is jittered; the first
// handshake after a 402 waits only as long as the server advises, since the
// server spreads these itself.
//
// # Guarantees
//
// Messages of one connection are handed over in the order of arrival. Over
// long-polling the two connections race, and so does a publisher's order when
// the server puts messages into both answers (Bayeux says no more; CometD's
// metaConnectDeliverOnly is the cure).
//
// Nothing is sent twice. What was in flight when a connection broke fails with
// the reason, and may or may not have been done. Subscriptions are not renewed:
// that is OnHandshake's work, as with CometD's clients.
//
// Everything is bounded: batches in flight (ErrBusy), messages received and not
// yet consumed (first the reading stops, then ErrOverflow), frame and answer
// size (ErrTooLarge), every dial, write and wait. A callback that waits for a
// reply while the inbox is full is waited for MaxNetworkDelay, then the
// connection is given up.
//
// # Wire format
//
// A batch is one JSON array in one text frame, or in the body of one POST to
// Config.URL. Ids are decimal numbers as strings, unique for the life of the
// client. A message on a broadcast or service channel that has an id and no
// data is a reply; a /meta/disconnect without an id is the server's own (both
// as CometD's clients tell them).
//
// Redirects are not followed, since a handshake may carry a secret. Cookies are
// kept per client and shared by both transports.
//
// # Goroutines and locks
//
//	Run         the caller's: handshake and connect, one request at a time
//	deliver     one per Run: calls the callbacks
//	reader      one per WebSocket: reads, answers waiting calls, fills the inbox
//	(net/http's own while long-polling)
//
// Locks: Client.mu (the session), socket.mu (waiting calls), inbox.mu (the
// queue). None is held while another is taken, nor while a callback runs or the
// network is waited for.
package client
