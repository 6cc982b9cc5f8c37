// Package wire is a Bayeux client of the end-to-end tests' own, written against
// the protocol and not against this project's packages: HTTP without a cookie
// jar, raw WebSocket frames, and whatever nonsense a test wants to send. Nothing is retried
// and nothing is repaired, so that what a server does is seen as it is.
//
// [Client] has one goroutine while it listens; [Client.Close] ends it.
package wire
