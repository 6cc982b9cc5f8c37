package oort

import "fmt"

// State is how far a link, the session that this comet has opened at another, has come.
type State uint8

const (
	// Dialing: no handshake of ours stands; one is tried, or about to be tried again.
	// (CometD: HANDSHAKE_SENT.)
	Dialing State = iota + 1
	// Refused: the peer refused our last handshake. It is tried again, for the
	// secret may be in the middle of being changed.
	Refused
	// Handshaken: the peer took our handshake; we wait for the handshake of the link
	// that it opens to us.
	Handshaken
	// Joining: both handshakes are done; the join batch is on its way, or waits to be
	// sent again. (CometD: JOIN_SENT.)
	Joining
	// Joined: the peer has answered the join. What clients here listen to is observed there.
	Joined
	// Broken: the connection was lost. The session may still live at the peer, and
	// the client tries to take it up again.
	Broken
	// Duplicate: another link leads to the same comet, and carries everything.
	Duplicate
	// Closed: the link is not wanted any more.
	Closed
)

// States lists all states, for metrics and tables.
var States = []State{Dialing, Refused, Handshaken, Joining, Joined, Broken, Duplicate, Closed}

func (s State) String() string {
	switch s {
	case Dialing:
		return "dialing"
	case Refused:
		return "refused"
	case Handshaken:
		return "handshaken"
	case Joining:
		return "joining"
	case Joined:
		return "joined"
	case Broken:
		return "broken"
	case Duplicate:
		return "duplicate"
	case Closed:
		return "closed"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// event is what happens to a link.
type event uint8

const (
	// evAccepted: the peer took our handshake; a new session begins.
	evAccepted event = iota + 1
	// evPeer: the peer's own handshake is known, of the incarnation that answered ours.
	evPeer
	// evTaken: the peer took the whole join batch.
	evTaken
	// evCut: the connection was lost, the session perhaps not.
	evCut
	// evResumed: connected again, in the session from before.
	evResumed
	// evRefused: the peer refused our handshake.
	evRefused
	// evEnded: the session is over.
	evEnded
	// evTwin: another link leads to the same comet.
	evTwin
	// evStop: the link is not wanted any more.
	evStop
)

var events = []event{evAccepted, evPeer, evTaken, evCut, evResumed, evRefused, evEnded, evTwin, evStop}

// next is the whole life of a link: the state that follows s when e happens. An
// event that means nothing in s leaves it as it is.
func next(s State, e event) State {
	if s == Closed {
		return Closed
	}
	switch e {
	case evStop:
		return Closed
	case evTwin:
		return Duplicate
	case evEnded:
		// A duplicate, too, dials anew once the other link is gone.
		return Dialing
	}
	if s == Duplicate {
		return Duplicate
	}
	switch e {
	case evAccepted:
		return Handshaken
	case evRefused:
		return Refused
	case evPeer:
		if s == Handshaken {
			return Joining
		}
	case evTaken:
		if s == Joining {
			return Joined
		}
	case evCut:
		switch s {
		case Handshaken, Joining, Joined:
			return Broken
		}
	case evResumed:
		// The join is sent again from the beginning: which of our messages
		// reached the peer before the cut is not known.
		if s == Broken {
			return Handshaken
		}
	}
	return s
}
