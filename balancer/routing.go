package balancer

import (
	"errors"
	"fmt"
	"time"
)

// Routing says how a comet is chosen for a client, beside [Config.Keys] and
// [Config.Place].
type Routing struct {
	// IPPrefix4 and IPPrefix6 are how many leading bits of a client's address it is
	// routed by. Shorter ones keep clients together whose addresses change within a
	// network, and send whole networks to one comet. Defaults 32, the whole address,
	// and 64: a host on IPv6 draws a new address inside its /64 every day or oftener.
	IPPrefix4, IPPrefix6 int

	// SlowStart is for how long a comet that has become healthy while others were at
	// work is spared: of the new sessions that would come to it by load it gets a part
	// that grows evenly from none to all, and the others get the rest. It does not
	// hold for comets that the balancer finds healthy when it starts, nor for what is
	// chosen by address or by a re-pinned cookie. Default 10 s; 0 is off.
	SlowStart time.Duration

	// LearnSessions is of how many sessions the balancer remembers the comet, when the
	// clientId does not say it: it is learnt from the comets' answers to handshakes over
	// HTTP. That is for clients without cookies in front of a fleet that is not Halley's.
	// The handshakes go by load then. Each balancer knows what it saw itself. A session
	// takes about 200 bytes. What was not used for longest goes first when there is no
	// more room. It needs the key client-id. Default 0: nothing is learnt.
	LearnSessions int

	// LearnTime is how long a session is remembered that sends nothing over HTTP. It
	// must be above the time that a comet holds a poll. Default 5 min.
	LearnTime time.Duration
}

// maxLearn bounds Routing.LearnSessions: some 2 GB.
const maxLearn = 10_000_000

// DefaultRouting returns the defaults that the fields name.
func DefaultRouting() Routing {
	return Routing{IPPrefix4: 32, IPPrefix6: 64, SlowStart: 10 * time.Second, LearnTime: 5 * time.Minute}
}

func (r *Routing) validate() error {
	var errs []error
	bad := func(setting, format string, args ...any) {
		errs = append(errs, fmt.Errorf(setting+": "+format, args...))
	}
	if r.IPPrefix4 < 1 || r.IPPrefix4 > 32 {
		bad("ip-prefix4", "%d is not from 1 to 32", r.IPPrefix4)
	}
	if r.IPPrefix6 < 1 || r.IPPrefix6 > 128 {
		bad("ip-prefix6", "%d is not from 1 to 128", r.IPPrefix6)
	}
	if r.SlowStart < 0 {
		bad("slow-start", "%v is below zero", r.SlowStart)
	}
	if r.LearnSessions < 0 || r.LearnSessions > maxLearn {
		bad("learn-sessions", "%d is not from 0 to %d", r.LearnSessions, maxLearn)
	}
	if r.LearnTime <= 0 {
		bad("learn-time", "%v is not above zero", r.LearnTime)
	}
	return errors.Join(errs...)
}
