package balancer

import "fmt"

// State is how a comet is.
type State uint8

const (
	// Unknown: not checked yet. Sessions that name it are sent to it; new ones are not.
	Unknown State = iota
	// Healthy: it answers.
	Healthy
	// Leaving: it answers, and has said goodbye, or another incarnation has taken its
	// name. It keeps its sessions and gets no new ones.
	Leaving
	// Down: it does not answer. It is checked on and may come back.
	Down
	// Gone: it left, is no longer listed, or its address belongs to another. Final.
	Gone

	states = int(Gone) + 1
)

func (s State) String() string {
	switch s {
	case Unknown:
		return "unknown"
	case Healthy:
		return "healthy"
	case Leaving:
		return "leaving"
	case Down:
		return "down"
	case Gone:
		return "gone"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// event is what can happen to a comet.
type event uint8

const (
	// eventAnswers: as many checks as needed were answered.
	eventAnswers event = iota
	// eventAnswersLeaving: likewise, of a comet that has said goodbye.
	eventAnswersLeaving
	// eventGoodbye: the gossip says that it is leaving, or is superseded.
	eventGoodbye
	// eventBack: the gossip says that it has thought better of it.
	eventBack
	// eventFails: it refuses connections, or too many checks have failed.
	eventFails
	// eventGone: it left, is no longer listed, or its address has another owner.
	eventGone

	events = int(eventGone) + 1
)

// next is the state after an event.
func next(s State, e event) State {
	if s == Gone {
		return Gone
	}
	switch e {
	case eventAnswers:
		return Healthy
	case eventAnswersLeaving:
		return Leaving
	case eventGoodbye:
		if s == Down {
			return Down
		}
		return Leaving
	case eventBack:
		if s == Leaving {
			return Healthy
		}
		return s
	case eventFails:
		return Down
	case eventGone:
		return Gone
	}
	return s
}

// cause is why a comet is in its state; the log field and part of its status.
type cause string

const (
	causeFound       cause = "found"              // it was listed or gossiped
	causeAnswers     cause = "answers"            // a check succeeded
	causeRefused     cause = "connection refused" // a request or a check was refused
	causeUnreachable cause = "unreachable"        // no connection within the time for dialling again
	causeSilent      cause = "checks failed"      // as many checks as Config.Fall
	causeGivenUp     cause = "given up by gossip" // and a check failed
	causeGoodbye     cause = "said goodbye"       // by gossip
	causeBack        cause = "took its goodbye back"
	causeSuperseded  cause = "superseded" // another incarnation has its name
	causeReplaced    cause = "replaced"   // another comet has its address
	causeLeft        cause = "left"       // in order, by gossip
	causeUnlisted    cause = "not listed" // nobody knows it any more
	causeInherited   cause = "inherited"  // what is at its address is now known under another name or tag
)
