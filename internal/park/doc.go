// Package park is for connections that wait: held polls, idle keep-alive
// connections, WebSockets on which nothing happens. A [Set] waits for all of them at
// once, in one goroutine and no thread of its own; a parked connection costs no
// goroutine and no buffer. Besides, it notices the clients that go away meanwhile,
// which an HTTP server busy with a request does not.
//
// # What is guaranteed
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
// A Set has one lock, under which nobody is called, so all may be called under any
// lock of the caller.
//
// Only Linux is served. Elsewhere Conn refuses and Watch notices nothing: that a
// client has gone shows when its answer is written.
package park
