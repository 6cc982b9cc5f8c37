package tunnel

import (
	"strconv"

	"github.com/halleycomet/halley/internal/wsframe"
)

// End is why the balancer ended a tunnel.
type End uint8

const (
	// None: it has not; the client and the comet ended it between them.
	None End = iota
	// Stopping: the balancer stops.
	Stopping
	// Draining: the comet drains, or was taken off the list.
	Draining
	// CometDown: the comet is down, or gone.
	CometDown
	// ClientStuck: the client took nothing for the limit.
	ClientStuck
	// CometStuck: the comet took nothing for as long.
	CometStuck

	ends = int(CometStuck) + 1
)

// String is the metric label.
func (e End) String() string {
	switch e {
	case None:
		return "none"
	case Stopping:
		return "stopping"
	case Draining:
		return "draining"
	case CometDown:
		return "comet_down"
	case ClientStuck:
		return "client_stuck"
	case CometStuck:
		return "comet_stuck"
	}
	return "End(" + strconv.Itoa(int(e)) + ")"
}

// code is what the client is told, if it can be told anything. A comet that went
// without a word is as good as down.
func (e End) code() wsframe.Code {
	if e == Stopping {
		return wsframe.GoingAway
	}
	return wsframe.Restart
}

// gentle tells whether the comet is well: it gets what the client has sent.
func (e End) gentle() bool { return e == Stopping || e == Draining }
