// Package load puts a Bayeux server under load and measures it: any server, with
// nothing but the protocol. `comet load` is its command.
//
// # A run
//
// A run has these phases, one after the other; the words are those of [Report]:
//
//	before     the memory of the server's process is read, when it is known
//	open       the publishers come, then the clients: handshake, subscribe, connect;
//	           then those that will read nothing (Config.Frozen)
//	idle       nothing moves for Config.Settle; the memory is read again
//	waves      one message to all, until each client has it and waits again; memory; N times
//	warm-up    the publishers publish, and nothing is measured
//	measured   the same, measured
//	drain      nothing is published; what is still on its way is waited for
//	close      the clients say goodbye
//
// Clients are spread evenly over the rooms, which are channels under one prefix
// that no other run has. Each room has one publisher, so what comes to a client
// has one order. With a rate the publishers send by the clock, whatever the server
// does; in a closed loop each room has at most Config.Window messages on their way,
// and the next is sent when all clients of the room have the oldest.
//
// # What is counted
//
// The data of each message is one JSON string, which names the run, the room, the
// number in the room and the moment of sending, and is filled to Config.Size:
//
//	"hRUN-ROOM-NUMBER-NANOSECONDS-xxxxxx"
//
// A server may write the message anew as it likes; the string survives. Each client
// knows exactly which numbers it has got, so a lost and a doubled delivery are
// counted as such, however late. A delivery's latency is the time from just before
// its publish was written to the moment its frame or answer was read: one process
// has both ends, and one clock. That a publisher could not write in time is told
// apart (Report.Lag).
//
// The processor time and the memory are those of one process, read from /proc (Linux):
// user and system time, and resident memory as smaps_rollup has it.
//
// # Clients
//
// A client is one connection and one goroutine, over WebSocket or long-polling. It
// heeds the advice interval and timeout, keeps cookies, and its first connect asks for
// an answer at once (advice.timeout 0), for Faye's server holds a first connect where
// CometD's does not. A client whose session or connection ends does not come back: it
// is counted by reason, and what it misses is lost. A publisher over long-polling has
// a second connection, on which it publishes.
//
// Where the target is an IPv4 loopback address, each client has a local address of
// its own in 127.0.0.0/8, so that a server or balancer which tells clients by address sees many.
//
// # Goroutines and locks
//
// [Run] owns all goroutines, one a client, one a room while it publishes, and returns
// when they have ended. Locks: of a shard of the meter, of a room, of the list of those gone, of a
// publisher, of a socket's writing side. Under a publisher's lock its answers are
// counted; no other is held while another is taken.
package load
