package balancer

import (
	"github.com/cespare/xxhash/v2"
)

// rendezvous chooses among the comets that are most open to new sessions the one that
// scores highest for a key, and nil when none is. The score depends on the key and
// the comet's name alone, so all balancers choose the same whatever order they know
// the comets in, and when the list changes only those keys move whose comet went, or
// which a new comet wins.
func rendezvous(comets []*comet, key uint64) *comet {
	var best *comet
	var high uint64
	most := 1
	for _, c := range comets {
		open := c.State().openness()
		if open < most {
			continue
		}
		if open > most {
			best, most = nil, open
		}
		if s := mix(c.hash ^ key); best == nil || s > high || s == high && c.name < best.name {
			best, high = c, s
		}
	}
	return best
}

// mix is the finalizer of splitmix64: it is a bijection in which each bit of the
// input turns half the bits of the output, so the scores of two comets for one key
// have nothing to do with each other.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func hashKey(key []byte) uint64    { return xxhash.Sum64(key) }
func hashString(key string) uint64 { return xxhash.Sum64String(key) }
