// Package chunk reads connections into borrowed buffers: nobody holds one while nothing
// moves. Held polls and idle tunnels are what a balancer has most of.
package chunk

import "sync"

// Size is how much is read at once, in bytes.
const Size = 16 << 10

// Chunk is a borrowed buffer, in use only while bytes are on their way.
type Chunk struct {
	Buf [Size]byte
	n   int
}

var pool = sync.Pool{New: func() any { return new(Chunk) }}

// Get borrows a chunk.
func Get() *Chunk { return pool.Get().(*Chunk) }

// Bytes is what was read.
func (c *Chunk) Bytes() []byte { return c.Buf[:c.n] }

// Free gives the chunk back.
func (c *Chunk) Free() { pool.Put(c) }
