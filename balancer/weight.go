package balancer

import "math/bits"

// depth is how far a hash lies below the top of its range: -log2 of (x+1)/2^64, in
// units of 2^-32. A comet whose depth for a key is the least in proportion to its
// weight wins the key: of comets with weights w1, w2, ... the first wins w1 of
// w1+w2+..., since -ln of a number drawn evenly, divided by w, is the waiting time for
// an event of rate w, and the first event to happen is that of rate w1 with just this
// probability.
//
// It is computed in integers, digit by digit, and not with math.Log, so that
// balancers on processors of different kinds come to the same bit, and it never falls
// as x grows less, so that comets of one weight are ordered as their hashes are.
func depth(x uint64) uint64 {
	x++
	if x == 0 {
		return 0
	}
	zeros := bits.LeadingZeros64(x)
	return uint64(zeros+1)<<32 - digits(x<<zeros)
}

// digits is log2 of y/2^63, which is from 1 to below 2, in units of 2^-32.
func digits(y uint64) uint64 {
	found := uint64(0)
	for range 32 { // the square of y has the next digit before the point
		hi, lo := bits.Mul64(y, y)
		found <<= 1
		if hi >= 1<<63 {
			found |= 1
			y = hi
		} else {
			y = hi<<1 | lo>>63
		}
	}
	return found
}

// steps has the digits of 256 places, and of the end, for a quick look.
var steps = func() (s [257]uint64) {
	for i := range uint64(256) {
		s[i] = digits(1<<63 | i<<55)
	}
	s[256] = 1 << 32
	return s
}()

// about tells between what the depth of a hash lies.
func about(x uint64) (least, most uint64) {
	x++
	if x == 0 {
		return 0, 0
	}
	zeros := bits.LeadingZeros64(x)
	step, whole := x<<zeros<<1>>56, uint64(zeros+1)<<32
	return whole - steps[step+1], whole - steps[step]
}

// bid is what a comet offers for a key.
type bid struct {
	comet       *comet
	weight      uint64
	hash        uint64 // of comet and key
	least, most uint64 // the depth of the hash is from least to most; both 0 when nobody has looked
}

// over reports whether b wins against o. It is a total order: whoever compares, in
// whatever order, finds the same winner.
func (b *bid) over(o *bid) bool {
	if b.weight != o.weight {
		b.look()
		o.look()
		// weight/depth, the greater wins; 16 (see discovery.Comet) and 39 bits at most
		switch {
		case b.weight*o.least > o.weight*b.most:
			return true
		case b.weight*o.most < o.weight*b.least:
			return false
		}
		b.exact()
		o.exact()
		if mine, theirs := b.weight*o.most, o.weight*b.most; mine != theirs {
			return mine > theirs
		}
	}
	if b.hash != o.hash {
		return b.hash > o.hash
	}
	return b.comet.name < o.comet.name
}

func (b *bid) look() {
	if b.most == 0 {
		b.least, b.most = about(b.hash)
	}
}

// exact makes the two bounds one.
func (b *bid) exact() {
	if b.least != b.most {
		b.most = depth(b.hash)
		b.least = b.most
	}
}
