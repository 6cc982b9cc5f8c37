package comet

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
)

// inflater decompresses messages, each by itself (RFC 7692 without context
// takeover).
type inflater struct {
	from  bytes.Reader
	tail  strings.Reader
	flate io.ReadCloser // a flate.Resetter, too
	out   bytes.Buffer
}

// inflateTail is what the sender left out, and an empty last block, so that the
// reader sees an end.
const inflateTail = "\x00\x00\xff\xff" + "\x01\x00\x00\xff\xff"

var inflaters = sync.Pool{New: func() any { return new(inflater) }}

// keepInflated is how large a buffer is kept for the next message, in bytes.
const keepInflated = 64 << 10

// inflate decompresses a message and gives it to use, which must not keep it. A
// message of more than limit bytes is given as one of limit+1 bytes.
func inflate(compressed []byte, limit int, use func([]byte)) error {
	z := inflaters.Get().(*inflater)
	defer z.rest()
	z.from.Reset(compressed)
	z.tail.Reset(inflateTail)
	in := io.MultiReader(&z.from, &z.tail)
	if z.flate == nil {
		z.flate = flate.NewReader(in)
	} else if err := z.flate.(flate.Resetter).Reset(in, nil); err != nil {
		return err
	}
	z.out.Reset()
	if _, err := z.out.ReadFrom(io.LimitReader(z.flate, int64(limit)+1)); err != nil {
		return err
	}
	use(z.out.Bytes())
	return nil
}

// rest gives the inflater back for another message, without what this one has left.
func (z *inflater) rest() {
	z.from.Reset(nil)
	if z.out.Cap() > keepInflated {
		z.out = bytes.Buffer{}
	}
	inflaters.Put(z)
}
