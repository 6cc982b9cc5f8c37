package park

import "errors"

// Events is what a connection waits for, and what has happened to it.
type Events uint8

const (
	// Readable: bytes, or the end of the stream, can be read.
	Readable Events = 1 << iota
	// Writable: there is room for bytes to be written.
	Writable
	// Hangup: the other side has closed its sending half or everything, or the
	// connection is broken. Reported whatever is armed; arm it alone to wait for
	// nothing else.
	Hangup
	// Ended goes with Hangup when Run has ended and nothing is known about the
	// connection. It cannot be armed.
	Ended
	// Expired: the deadline that a socket of a Loop had has passed. It comes alone.
	Expired
)

// Waker is told what has happened to a connection that was armed. Woken must not
// wait: all connections of the set wait with it.
type Waker interface{ Woken(e Events) }

// ErrAgain is the error of TryRead when nothing is there, and of TryWrite when there
// is no room for the rest.
var ErrAgain = errors.New("park: not now")
