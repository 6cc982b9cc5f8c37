// Package park is for connections that wait: held polls, idle keep-alive
// connections, WebSockets on which nothing happens. A parked connection costs no
// goroutine and no buffer. The package knows nothing of what is said on them. It has
// three parts:
//
//   - A [Set] waits for all connections at once, in one goroutine and no thread of its
//     own. A [Conn] is armed for what is to happen to it, and read and written without
//     waiting. [Set.Watch] notices clients that go away while a goroutine waits, which
//     an HTTP server busy with a request does not.
//   - A [Lot] has the HTTP connections of fasthttp servers wait in a Set. A [Line] is
//     one of them: it rests between two requests, and a handler can take it for a
//     request that waits ([Line.Take]), to be answered later by whoever knows the
//     answer ([Line.TryWrite], [Line.Answered]).
//   - [Loops] serve sockets without the Go runtime: a [Sock] is a bare descriptor, read,
//     written and dialled without waiting in the goroutine of its [Loop]. For what is
//     to cost as little as it can: short requests that pass through, tunnels, polls.
//
// # The way of a line
//
//	accepted ─▶ served ◀──────────────────────────┐
//	              │  ▲                            │
//	              │  └─ next request ◀─ pause     │ shift: a few begin at a time
//	              │                      │ 200 ms │
//	              │ Take (after 5 ms)    ▼        │
//	              └────▶ held ────────▶ rests ────┘ readable
//	                        Answered
//
// The files follow it: gate.go (accepted), line.go (served, rests), ahead.go (reading
// without a large buffer), pauses.go (between two requests, at first), take.go (held
// and answered), shift.go (those that come back), lot.go and list.go (which lines rest,
// or are busy; the end).
//
// # What a Set guarantees
//
//   - [New] starts nothing. [Set.Run] is one goroutine, from which every
//     [Waker] is called, one after the other: a Waker must not wait. There are two
//     exceptions, in which a Waker is called from a short goroutine of its own: the
//     connection that is armed has been closed by this side, or Run has ended.
//   - Arming is for one call. When it is made the Conn is disarmed already, so Woken
//     may arm it again. No lock of this package is held then.
//   - Arm on what is armed replaces the events and the Waker. A call to the former
//     Waker may be running, or just about to begin, as long as neither Arm nor Disarm
//     has returned; after that only one that had begun may still be running.
//   - What is so already when Arm is called counts: bytes that wait, room to write, a
//     hang-up. So nothing is missed between TryRead, which finds nothing, and Arm.
//   - Woken may come for nothing (another has read the bytes, say), never too few
//     times: TryRead and TryWrite tell what is true.
//   - Events are reported as they are found, which can be more than was armed:
//     Hangup always, Readable together with it.
//   - Closing an armed connection on this side wakes nobody and leaves a slot of 8
//     bytes taken: Disarm first. Disarm after the closing is as good, and may be
//     called at any time, by any goroutine.
//   - A hang-up is also a client's closing of its sending half: whether the other half
//     still listens cannot be known. It is reported again with each Arm.
//   - When Run ends, everything that is armed is woken with Hangup and Ended before
//     Run returns, and what is armed later at once. Before Run, Conn refuses; what was
//     given to Watch is watched from Run on.
//   - TryRead and TryWrite never wait: neither for the network, nor for a reader or a
//     writer in another goroutine, nor do they heed deadlines. They allocate nothing,
//     as little as Arm and Disarm. Calls from several goroutines are safe, but
//     who gets which bytes, and in which order they leave, is the caller's affair.
//
// Only Linux is served. Elsewhere Conn refuses and Watch notices nothing: that a
// client has gone shows when its answer is written. No line is parked there, nor
// before the Set runs; handlers wait in their goroutines.
//
// # What a Lot guarantees
//
//   - A client cannot tell a line that was parked from one that was not, if who took it
//     answers as the handler would have: requests are answered in their order, also
//     those sent right behind one that is held, whose goroutine waits.
//   - [Held].HungUp is called while the request is held and its client is gone; not
//     after Answered, but for a call that is running then. It answers nothing by itself.
//   - A line that has rested for the IdleTimeout of its server is closed by the next
//     [Lot.Sweep], and one that rests by [Lot.Close]; those that are held are their
//     takers' to answer, or closed by [Lot.Abort].
//   - A hijacked line is not the lot's any more.
//
// # What a Loop guarantees
//
//   - Everything about its sockets happens in one goroutine: handlers, deadlines, and
//     calls left by [Loop.Post]. No lock is held then, and no other goroutine may touch
//     a [Sock].
//   - The system is told of a socket once, when it comes, and reports edges: what a
//     handler leaves unread is not reported again until more comes.
//   - A handler is called for nothing rather than not at all; never for a socket that it
//     has closed or released, be it earlier in the same batch of events.
//   - In a turn it is known from the beginning which sockets have something to read
//     ([Sock.Pending]), also to those who are told before them.
//   - A socket comes and goes where the process may open no more descriptors: the loop has
//     some to spare for the moment in which it has two.
//   - The loop waits in the poller of the Go runtime and takes no thread of its own. One
//     that is never out of work gives others a turn each millisecond.
//   - When Run ends every handler is told Hangup and Ended, what is still open is closed,
//     and calls that were taken by Post have been made.
//
// # Goroutines
//
// [New], [NewLot] and [NewLoops] start none. [Loops.Run] has one for each loop. [Set.Run] is one. A Lot has a goroutine for each line
// that has come back and is served (2 for each processor begin at a time, unless they
// wait; [Lot.Wait] waits for them). [Line.Finish] waits in that of its caller (Abort
// ends it, or the time that it has). Two timers interrupt pauses
// and hurry the shift, only while there is somebody to. The others are the HTTP
// server's: for new lines, until they rest for the first time.
//
// # Locks
//
// In this order, where more than one is held; nothing is written or read under any:
//
//	lot     (which lines rest or are busy)
//	line    (who has it)
//	pauses  (those that wait for their next request in a goroutine)
//	set     (what is armed), a leaf
//
//	shift   (those that come back), a leaf
//	posts   (calls left for a loop), a leaf
//
// [Held].Since is called under the line's lock, HungUp and Park under none. Nobody is
// called under that of a Set, so all of its methods may be called under any lock of the
// caller.
package park
