package balancer

import (
	"time"

	"github.com/halleycomet/halley/internal/sticky"
)

// snapshot is the comets as they are known at one moment. It is immutable, but for
// the state and the load of the comets in it, which are always those of now.
type snapshot struct {
	// ready is set once the first gossip sync and the first round of checks have
	// ended. Before, nobody is called dead.
	ready bool

	// comets are those that are there, in any state but Gone, ordered by name.
	comets []*comet

	// revived is when a comet began to get new sessions while no other did.
	revived time.Time

	// byTag finds an incarnation, the last ones that are gone included.
	byTag map[sticky.Tag]*comet

	// byNameTag finds the newest incarnation of a name, gone or not. A comet that is
	// listed and gossips is found by both of its names.
	byNameTag map[sticky.Tag]*comet
}

// takers counts the comets that get new sessions: those of the lowest rank.
func (s *snapshot) takers() int {
	n, lowest := 0, worstRank
	for _, c := range s.comets {
		switch rank, weight := c.opening(); {
		case weight == 0 || rank > lowest:
		case rank < lowest:
			n, lowest = 1, rank
		default:
			n++
		}
	}
	return n
}

// opener reports whether a comet is more open to new sessions than c.
func (s *snapshot) opener(c *comet) bool {
	mine := c.rank()
	for _, other := range s.comets {
		if rank, weight := other.opening(); weight > 0 && rank < mine {
			return true
		}
	}
	return false
}
