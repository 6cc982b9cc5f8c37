package balancer

import "strconv"

// tunnelEnd is why the balancer ended a tunnel.
type tunnelEnd uint8

const (
	// endNone: it has not; the client and the comet ended it between them.
	endNone tunnelEnd = iota
	// endStopping: the balancer stops.
	endStopping
	// endDraining: the comet drains, or was taken off the list.
	endDraining
	// endCometDown: the comet is down, or gone.
	endCometDown
	// endClientStuck: the client took nothing for Limits.WriteTimeout.
	endClientStuck
	// endCometStuck: the comet took nothing for as long.
	endCometStuck

	tunnelEnds = int(endCometStuck) + 1
)

// String is the metric label.
func (e tunnelEnd) String() string {
	switch e {
	case endNone:
		return "none"
	case endStopping:
		return "stopping"
	case endDraining:
		return "draining"
	case endCometDown:
		return "comet_down"
	case endClientStuck:
		return "client_stuck"
	case endCometStuck:
		return "comet_stuck"
	}
	return "tunnelEnd(" + strconv.Itoa(int(e)) + ")"
}

// code is what the client is told, if it can be told anything. A comet that went
// without a word is as good as down.
func (e tunnelEnd) code() closeCode {
	if e == endStopping {
		return closeGoingAway
	}
	return closeRestart
}

// gentle tells whether the comet is well: it gets what the client has sent.
func (e tunnelEnd) gentle() bool { return e == endStopping || e == endDraining }
