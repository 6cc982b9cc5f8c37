package balancer

import (
	"errors"
	"fmt"
)

// CometLimits bound what one comet is used for at a time by this balancer. A comet at a
// limit is full: its own clients queue, new sessions go elsewhere. 0 is no limit.
type CometLimits struct {
	// MaxConns bounds the connections to one comet that are in use: requests under
	// way, held polls and WebSockets. Idle connections, of which there are up to
	// [Limits.MaxIdle], make room for others. Default 0.
	MaxConns int

	// MaxHeld bounds the requests with a /meta/connect under way at one comet, which
	// are those that it holds. Default 0.
	MaxHeld int

	// MaxWaiting bounds all other requests that wait for an answer of one comet. It
	// keeps a comet that has become slow from being given more than it can do.
	// Default 0.
	MaxWaiting int

	// MaxQueue bounds the requests that queue for one comet at a limit; beyond it they
	// are answered at once like those whose time is over. Default 1024.
	MaxQueue int
}

func (l *CometLimits) validate() error {
	var errs []error
	for _, n := range []struct {
		setting string
		value   int
	}{
		{"comet-max-conns", l.MaxConns},
		{"comet-max-held", l.MaxHeld},
		{"comet-max-waiting", l.MaxWaiting},
		{"comet-max-queue", l.MaxQueue},
	} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("%s: %d is below zero", n.setting, n.value))
		}
	}
	return errors.Join(errs...)
}
