package balancer

import "fmt"

// State is how a comet is.
type State uint8

const (
	// Unknown: not checked yet. Sessions that name it are sent to it; new ones are not.
	Unknown State = iota
	// Healthy: it answers, and takes new sessions.
	Healthy
	// Suspect: there is some evidence against it. It keeps its sessions, and gets new
	// ones only while no comet is healthy; checks decide soon.
	Suspect
	// Full: it is well, and at one of the limits of its own. It keeps its sessions,
	// whose requests may have to wait, and gets new ones only while no other comet
	// takes any.
	Full
	// Draining: it answers, and is to be left: it has said goodbye, another
	// incarnation has taken its name, the admin wants it, or the list does not name it
	// any more. It keeps its sessions until they are moved, and gets no new ones.
	Draining
	// Down: it does not answer. It is checked on and may come back.
	Down
	// Gone: it left, is no longer known, or its address belongs to another. Final.
	Gone

	states = int(Gone) + 1
)

// String is the metric label and the field of the log.
func (s State) String() string {
	switch s {
	case Unknown:
		return "unknown"
	case Healthy:
		return "healthy"
	case Suspect:
		return "suspect"
	case Full:
		return "full"
	case Draining:
		return "draining"
	case Down:
		return "down"
	case Gone:
		return "gone"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// lives reports whether requests of sessions that the comet has may be sent to it.
// One that was not checked yet is given the benefit of the doubt.
func (s State) lives() bool { return s < Down }

// mostOpen is the openness of a healthy comet.
const mostOpen = 3

// openness ranks the comets for new sessions: those of the highest rank above 0 that
// is there get them.
func (s State) openness() int {
	switch s {
	case Healthy:
		return mostOpen
	case Suspect:
		return 2
	case Full:
		return 1
	}
	return 0
}

// condition is what a comet's state is made of. A comet that drains or is full may be
// under suspicion, too, or go down and come back, and still drain.
type condition struct {
	base     State // Unknown, Healthy, Suspect, Down or Gone
	draining bool
	full     bool
}

// state is the one that counts: what keeps more away from the comet goes first.
func (c condition) state() State {
	switch {
	case !c.base.lives():
		return c.base
	case c.draining:
		return Draining
	case c.full && c.base == Healthy:
		return Full
	}
	return c.base
}

// event is what can happen to a comet.
type event uint8

const (
	// eventAnswers: as many checks as needed were answered.
	eventAnswers event = iota
	// eventWavers: likewise, of a comet that has failed too often lately.
	eventWavers
	// eventDoubt: a check failed, or clients met with failures.
	eventDoubt
	// eventFails: it refuses connections, or too many checks have failed.
	eventFails
	// eventFull: a request found it at a limit.
	eventFull
	// eventRoom: it is well below its limits again.
	eventRoom
	// eventDrain: there is a reason to leave it.
	eventDrain
	// eventUndrain: there is none any more.
	eventUndrain
	// eventGone: it left, is no longer known, or its address has another owner.
	eventGone

	events = int(eventGone) + 1
)

// next is the condition after an event.
func (c condition) next(e event) condition {
	if c.base == Gone {
		return c
	}
	switch e {
	case eventAnswers:
		c.base = Healthy
	case eventWavers:
		if c.base == Down {
			c.base = Suspect
		}
	case eventDoubt:
		if c.base == Healthy {
			c.base = Suspect
		}
	case eventFails:
		c.base, c.full = Down, false
	case eventFull:
		c.full = c.base.lives()
	case eventRoom:
		c.full = false
	case eventDrain:
		c.draining = true
	case eventUndrain:
		c.draining = false
	case eventGone:
		c = condition{base: Gone}
	}
	return c
}

// cause is why a comet is in its state: one word in the log, in the metrics and in its
// status, so that each can be looked for in the others. docs/metrics.md lists them.
type cause string

const (
	causeFound       cause = "found"              // it was listed or gossiped
	causeAnswers     cause = "answers"            // as many checks as Config.Rise succeeded
	causeWavers      cause = "on_probation"       // likewise, after failing too often: it has to answer for a while
	causePassive     cause = "client_failures"    // clients met with as many as Outliers.PassiveFailures
	causeCheck       cause = "check_failed"       // one, so far
	causeRefused     cause = "connection_refused" // to a request or a check
	causeUnreachable cause = "unreachable"        // no connection within the time for dialling again
	causeSilent      cause = "checks_failed"      // as many checks as Config.Fall
	causeGivenUp     cause = "given_up"           // by gossip, and a check failed
	causeGoodbye     cause = "goodbye"            // said by gossip
	causeBack        cause = "goodbye_withdrawn"  // likewise
	causeAdmin       cause = "drained_by_admin"
	causeUndrained   cause = "undrained"         // by the admin, or whatever it was drained for is over
	causeLimit       cause = "at_limit"          // a request found no room
	causeDenied      cause = "denies_handshakes" // because it leaves
	causeSessions    cause = "session_limit"     // it has as many as it may, and denied one
	causeRoom        cause = "room_again"        // it is a tenth below its limits
	causeSuperseded  cause = "superseded"        // another incarnation has its name
	causeReplaced    cause = "replaced"          // another comet has its address
	causeLeft        cause = "left"              // in order, by gossip
	causeUnlisted    cause = "unlisted"          // nobody knows it any more
	causeInherited   cause = "inherited"         // what is at its address is now known under another name or tag
)
