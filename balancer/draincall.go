package balancer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/halleycomet/halley/internal/discovery"
)

// Why [Balancer.Drain] and [Balancer.Undrain] refuse.
var (
	// ErrNoSuchComet: none is known by that name.
	ErrNoSuchComet = errors.New("no comet has that name")
	// ErrLastComet: no other comet would get new sessions.
	ErrLastComet = errors.New("no other comet takes new sessions")
	// ErrStillDrains: there is another reason for the comet to be left.
	ErrStillDrains = errors.New("the comet drains still")
)

// Drain has a comet left: it gets no new sessions any more, and its clients are moved
// to others, at Config.DrainRate and within Config.DrainTime, with nothing lost that
// was queued for them. It stays so, for this balancer alone and until it stops, also
// when the comet restarts; Undrain takes it back.
//
// Name is that of [CometStatus]. While no other comet takes new sessions it is refused
// with [ErrLastComet], unless it is forced; forced, it moves nobody until another does.
func (b *Balancer) Drain(name string, force bool) error {
	name = b.cometName(name)
	known, others := false, false
	for _, c := range b.fleet.snapshot().comets {
		if c.name == name {
			known = true
		} else if _, weight := c.opening(); weight > 0 {
			others = true
		}
	}
	switch {
	case !known:
		return fmt.Errorf("drain %q: %w", name, ErrNoSuchComet)
	case !others && !force:
		return fmt.Errorf("drain %q: %w", name, ErrLastComet)
	}
	if err := b.fleet.drain(name); err != nil {
		return fmt.Errorf("drain %q: %w", name, ErrNoSuchComet) // it went just now
	}
	return nil
}

// Undrain takes Drain back. Clients that were moved stay where they are. With
// [ErrStillDrains] the comet drains for another reason: it has said goodbye, or is
// listed no more.
func (b *Balancer) Undrain(name string) error {
	name = b.cometName(name)
	err := b.fleet.undrain(name)
	if err == nil {
		return nil
	}
	for _, c := range b.fleet.snapshot().comets {
		if c.name == name {
			return fmt.Errorf("%w: %w", ErrStillDrains, err)
		}
	}
	return fmt.Errorf("undrain %q: %w", name, ErrNoSuchComet)
}

// CometsNamed lists those of one name, as [Balancer.Comets] does: several incarnations
// may be there at once.
func (b *Balancer) CometsNamed(name string) []CometStatus {
	name = b.cometName(name)
	return slices.DeleteFunc(b.Comets(), func(c CometStatus) bool { return c.Name != name })
}

// cometName is the name of a comet for how somebody writes it: of one that does not
// gossip its URL in any spelling.
func (b *Balancer) cometName(name string) string {
	if !strings.Contains(name, "://") {
		return name
	}
	if u, err := discovery.ParseURL(name); err == nil {
		return u.Origin
	}
	return name
}
