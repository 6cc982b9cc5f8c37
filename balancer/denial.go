package balancer

import (
	"bytes"
	"errors"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"go.uber.org/zap"
)

// denial is why a comet of ours denied a handshake in a way that sends the client
// elsewhere.
type denial uint8

const (
	// notDenied: it did not, or the client is meant.
	notDenied denial = iota
	// deniedLeaving: it leaves. The gossip says so too, and may be late.
	deniedLeaving
	// deniedFull: it has as many sessions as it may.
	deniedFull
)

const (
	// deniedFor is how long a denial counts when the gossip does not say likewise.
	deniedFor = 5 * time.Second
	// maxDenial is the longest answer that is looked at.
	maxDenial = 4 << 10
)

var errDenied = errors.New("the comet denied the handshake")

// readDenial reads the answer to a handshake, as JSON or as a script. A comet that
// leaves denies with the advice to handshake, at once; one that is full, after an
// interval; one whose policy refuses the client, with the advice not to come again.
func readDenial(answer []byte) denial {
	if len(answer) > maxDenial || !bytes.Contains(answer, []byte(bayeux.ErrorHandshakeDenied)) {
		return notDenied
	}
	from, to := bytes.IndexByte(answer, '['), bytes.LastIndexByte(answer, ']')
	if from < 0 || to < from {
		return notDenied
	}
	replies, err := bayeux.Parse(answer[from : to+1])
	if err != nil {
		return notDenied
	}
	for i := range replies {
		r := &replies[i]
		if r.Channel != bayeux.MetaHandshake || r.Successful || r.Error != string(bayeux.ErrorHandshakeDenied) {
			continue
		}
		advice, ok := bayeux.ParseAdvice(r.Advice)
		switch {
		case !ok || advice.Reconnect != bayeux.ReconnectHandshake:
		case advice.Interval > 0:
			return deniedFull
		default:
			return deniedLeaving
		}
	}
	return notDenied
}

// denied takes an answer to a handshake into account, and tells whether it is not to be
// passed on because another comet takes the handshake.
func (b *Balancer) denied(rq *exchange, d decision, answer []byte) bool {
	if !rq.handshake || rq.effect != repeatable || !d.comet.gossips {
		return false
	}
	why := readDenial(answer)
	if why == notDenied {
		return false
	}
	b.fleet.denies(d.comet, why)
	_, found := b.another(rq, d)
	return found
}

// denies reports that c denied a handshake: no further ones go there for a while.
func (f *fleet) denies(c *comet, why denial) {
	c = c.living()
	f.update(func() {
		c.deniedAt = time.Now()
		if why == deniedLeaving {
			f.setDraining(c, causeDenied, true)
		} else {
			f.transition(c, eventFull, causeSessions, zap.Int64("sessions", c.load.sessions()))
		}
	})
}

// forgive lets new sessions come again to a comet that denied them long ago, or was full
// and has room. The caller holds mu.
func (f *fleet) forgive(c *comet) {
	if time.Since(c.deniedAt) < deniedFor {
		return
	}
	f.setDraining(c, causeDenied, false)
	if c.cond.full && c.limits.roomy() {
		f.transition(c, eventRoom, causeRoom)
	}
}
