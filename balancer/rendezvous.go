package balancer

import (
	"github.com/cespare/xxhash/v2"
)

// rendezvous chooses for a key among the comets that take new sessions, and nil when
// there are none. Each comet bids by a hash of the key and its name and by its weight
// alone, so all balancers choose the same whatever order they know the comets in. When
// the list changes only those keys move whose comet went, or which a new comet wins;
// when a weight grows only keys to that comet, when it falls only keys from it; never
// a key between two others.
func rendezvous(comets []*comet, key uint64) *comet {
	return rendezvousBy(comets, key, (*comet).opening)
}

// rendezvousBy is the same, with another measure of how open comets are.
func rendezvousBy(comets []*comet, key uint64, opening func(*comet) (rank int, weight uint64)) *comet {
	var best bid
	lowest := worstRank
	for _, c := range comets {
		rank, weight := opening(c)
		if weight == 0 || rank > lowest {
			continue
		}
		b := bid{comet: c, weight: weight, hash: mix(c.hash ^ key)}
		if rank < lowest || b.over(&best) {
			lowest, best = rank, b
		}
	}
	return best.comet
}

// mix is the finalizer of splitmix64: it is a bijection in which each bit of the
// input turns half the bits of the output, so the hashes of two comets for one key
// have nothing to do with each other.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func hashKey(key []byte) uint64    { return xxhash.Sum64(key) }
func hashString(key string) uint64 { return xxhash.Sum64String(key) }
