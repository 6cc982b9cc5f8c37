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

	// revived is when a comet became healthy while no other was.
	revived time.Time

	// byTag finds an incarnation, the last ones that are gone included.
	byTag map[sticky.Tag]*comet

	// byNameTag finds the newest incarnation of a name, gone or not. A comet that is
	// listed and gossips is found by both of its names.
	byNameTag map[sticky.Tag]*comet
}

// healthy counts the comets that take new sessions.
func (s *snapshot) healthy() int {
	n := 0
	for _, c := range s.comets {
		if c.is(Healthy) {
			n++
		}
	}
	return n
}
