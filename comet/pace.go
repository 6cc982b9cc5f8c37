package comet

import "time"

// pace is how fast a client must take what is written to it: within the write
// timeout writeChunk bytes, or all there is. A deadline that began anew with each
// write would let a client that takes a few bytes now and then keep its backlog
// for ever. Only the time in which the client has no room counts. It belongs to one
// run of a writer: that it ended means that all was taken.
type pace struct {
	timeout time.Duration
	spent   time.Duration // without room, since the bytes were counted anew
	bytes   int
}

// left is how much longer the client may take for the next room bytes.
func (p *pace) left() time.Duration { return p.timeout - p.spent }

// room is how many bytes the client must take in that time, if there are so many.
func (p *pace) room() int { return writeChunk - p.bytes }

// wrote notes that n bytes left after the client had no room for a while.
func (p *pace) wrote(n int, waited time.Duration) {
	p.spent += waited
	if p.bytes += n; p.bytes >= writeChunk {
		p.spent, p.bytes = 0, 0
	}
}
