package comet

import "time"

// pace is how fast a client must take what is written to it: within the write
// timeout writeChunk bytes, or all there is. A deadline that began anew with each
// write would let a client that takes a few bytes now and then keep its backlog
// for ever. Only the time inside of writes counts. It belongs to one run of a
// writer: that it ended means that all was taken.
type pace struct {
	timeout time.Duration
	spent   time.Duration // in writes, since the bytes were counted anew
	bytes   int
}

// left is how long the next write, of n bytes, may take. A large one has the whole
// time for itself.
func (p *pace) left(n int) time.Duration {
	if n >= writeChunk || p.bytes >= writeChunk {
		p.spent, p.bytes = 0, 0
	}
	return p.timeout - p.spent
}

func (p *pace) wrote(n int, took time.Duration) {
	p.bytes += n
	p.spent += took
}
