package comet

import "fmt"

// State is where a session stands.
type State int

const (
	// StateNew: made, not yet accepted; nobody knows its clientId.
	StateNew State = iota
	// StateHandshaken: has its clientId and may do anything; its first connect
	// will be answered at once.
	StateHandshaken
	// StateConnected: has connected at least once; connects are held.
	StateConnected
	// StateDisconnected: ended by its client, by the cloud, because its queue
	// was full, or because its handshake was denied. Final.
	StateDisconnected
	// StateExpired: ended because no connect came in time. Final.
	StateExpired
)

// event is what happens to a session.
type event int

const (
	eventAccept  event = iota // the handshake was accepted
	eventConnect              // a /meta/connect
	eventMessage              // any other message
	eventEnd                  // denied, disconnected, dropped or cut
	eventExpire               // its time is over
)

var (
	stateNames = [...]string{"new", "handshaken", "connected", "disconnected", "expired"}
	eventNames = [...]string{"accept", "connect", "message", "end", "expire"}
)

func (s State) String() string { return name(stateNames[:], int(s)) }
func (e event) String() string { return name(eventNames[:], int(e)) }

func name(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return fmt.Sprint(i)
	}
	return names[i]
}

// live tells whether the session can be spoken for.
func (s State) live() bool { return s == StateHandshaken || s == StateConnected }

// next is the whole life of a session: the state after e, and whether e may
// happen in s at all. What may not happen changes nothing.
func next(s State, e event) (State, bool) {
	switch {
	case s == StateNew && e == eventAccept:
		return StateHandshaken, true
	case s == StateNew && e == eventEnd:
		return StateDisconnected, true
	case s.live() && e == eventConnect:
		return StateConnected, true
	case s.live() && e == eventMessage:
		return s, true
	case s.live() && e == eventEnd:
		return StateDisconnected, true
	case s.live() && e == eventExpire:
		return StateExpired, true
	}
	return s, false
}
