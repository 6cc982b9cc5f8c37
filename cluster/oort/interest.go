package oort

import (
	"context"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"go.uber.org/zap"
)

// interest is why a channel is observed on the other comets. An interest with
// neither reason is not kept.
type interest struct {
	local  bool // a local client listens
	static bool // the configuration says so
}

// mark is what a link knows of one channel at its peer.
type mark uint8

const (
	// markSent: a subscribe or unsubscribe is on its way, or its reply was lost.
	markSent mark = iota + 1
	// markConfirmed: the peer has said that it is observed.
	markConfirmed
	// markDenied: the peer has refused it. Asked again with the next session.
	markDenied
)

// gate is where those wait whose channel is not yet confirmed by all.
type gate struct {
	open    chan struct{} // closed when it is
	waiting int           // guarded by the cloud's mu
}

// Interest tells that the first local client listens on a channel or pattern, or
// that the last one has left. It never blocks; the calls must come in the order of
// the events. Channels that cannot be observed are passed over.
func (c *Cloud) Interest(channel string, wanted bool) {
	channel = bayeux.CleanChannel(channel)
	if !observable(channel) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	in := c.interests[channel]
	if in == nil {
		if !wanted {
			return
		}
		in = &interest{}
		c.interests[channel] = in
	}
	before := in.local || in.static
	in.local = wanted
	after := in.local || in.static
	if before == after {
		return
	}
	if !after {
		delete(c.interests, channel)
		c.openGate(channel)
	}
	for _, l := range c.links {
		l.note(channel, after)
	}
}

// note makes a link look at a channel whose interest has changed. Before the join
// there is nothing to note: the join takes all that is wanted then. The lock is held.
func (l *link) note(channel string, wanted bool) {
	if l.state != Joining && l.state != Joined {
		return
	}
	if !wanted && l.marks[channel] == 0 {
		delete(l.dirty, channel) // it came and went before the peer heard of it
		return
	}
	l.dirty[channel] = struct{}{}
	l.signal()
}

// Confirmed returns when all comets to which a link stands, joined or about to
// join, have confirmed that they send us what is published on channel, at the
// latest when Config.ConfirmTimeout is over or ctx ends. A link that is down or
// goes down meanwhile is not waited for, neither is one that was too late before,
// until it answers again. A peer that refuses the channel has answered.
func (c *Cloud) Confirmed(ctx context.Context, channel string) {
	channel = bayeux.CleanChannel(channel)
	c.mu.Lock()
	if c.confirmed(channel) {
		c.mu.Unlock()
		return
	}
	g := c.gates[channel]
	if g == nil {
		g = &gate{open: make(chan struct{})}
		c.gates[channel] = g
	}
	g.waiting++
	c.mu.Unlock()

	timer := time.NewTimer(c.cfg.ConfirmTimeout)
	defer timer.Stop()
	late := false
	select {
	case <-g.open:
		return
	case <-ctx.Done():
	case <-timer.C:
		late = true
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if g.waiting--; g.waiting == 0 && c.gates[channel] == g {
		delete(c.gates, channel)
	}
	if !late {
		return
	}
	for _, l := range c.links {
		if l.holds(channel) {
			l.late = true
			c.counts.late.Add(1)
			c.warn("late", "a comet is late to confirm; clients do not wait for it until it answers", zap.String("url", l.url))
		}
	}
	c.openGates()
}

// holds reports whether a link keeps those waiting who listen on channel. The lock is held.
func (l *link) holds(channel string) bool {
	m := l.marks[channel]
	return l.state.connected() && l.peerID != "" && !l.late && m != markConfirmed && m != markDenied
}

// confirmed reports whether nobody need wait for channel. The lock is held.
func (c *Cloud) confirmed(channel string) bool {
	if c.interests[channel] == nil || c.closing {
		return true
	}
	for _, l := range c.links {
		if l.holds(channel) {
			return false
		}
	}
	return true
}

// openGate lets those go who wait for channel, if it is confirmed. The lock is held.
func (c *Cloud) openGate(channel string) {
	if g := c.gates[channel]; g != nil && c.confirmed(channel) {
		close(g.open)
		delete(c.gates, channel)
	}
}

// openGates looks at all gates, after a link has gone down. The lock is held.
func (c *Cloud) openGates() {
	for channel := range c.gates {
		c.openGate(channel)
	}
}
