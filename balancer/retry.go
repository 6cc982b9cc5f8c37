package balancer

import "time"

// effect is what sending a request twice would do.
type effect uint8

const (
	// repeatable: nothing that the client would notice. /meta/connect, subscribe,
	// unsubscribe and disconnect say what shall be, not what to do; of two handshakes
	// the session of the first is swept.
	repeatable effect = iota
	// once: a publish, a message to a service, any other request that is not safe by
	// its HTTP method, and a body that was passed on as it came.
	once
)

// verdict is what follows from a failure.
type verdict uint8

const (
	// again: send it to the same comet on a new connection.
	again verdict = iota
	// elsewhere: the comet is down, or as good as; ask route again.
	elsewhere
	// unsure: answer that it is not known what became of it.
	unsure
	// later: answer that the client shall come back later.
	later
	// moveOn: answer that the client shall go on by another connection.
	moveOn
	// aside: this comet does not want it, or has no room; another takes the handshake.
	aside
	// moved: answer that the session has ended, to be begun elsewhere.
	moved
	// hangUp: there is nobody left to answer.
	hangUp
)

// maxAgain is how often a request is sent to one comet again after the comet took it
// and broke the connection. A comet that does so each time is not to be pestered.
const maxAgain = 2

// trial is what has been tried so far with one comet.
type trial struct {
	resent  int           // how often the request was sent again
	dialing time.Duration // for how long the dials have been failing
}

// afterFailure is the whole of the rules for what follows when a comet gave no
// answer.
func afterFailure(s stage, e effect, t trial, redial time.Duration) verdict {
	switch s {
	case stageRefused, stageQueueDown:
		return elsewhere // it got nothing, and its sessions are gone
	case stageDialTimeout, stageUnreachable:
		// It proves nothing yet: sessions live through short blips.
		if t.dialing < redial {
			return again
		}
		return elsewhere
	case stageUnsent:
		if t.resent < maxAgain {
			return again
		}
	case stageSent, stageAnswering:
		if e == repeatable && t.resent < maxAgain {
			return again
		}
	case stageDown:
		if e == repeatable {
			return elsewhere
		}
	case stageReleased:
		return moveOn
	case stageKept:
		if e == repeatable {
			return again
		}
		return moveOn
	case stageTurn:
		if e == repeatable {
			return again
		}
		return moved
	case stageStranger:
		return elsewhere
	case stageFull, stageQueueFull, stageQueueLate:
		return later
	case stageAside:
		return aside
	case stageClient, stageGone:
		return hangUp
	case stageTimeout:
		// It has the request, and may yet act on it.
	}
	return unsure
}
