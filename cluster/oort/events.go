package oort

import (
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/bayeux/client"
	"go.uber.org/zap"
)

// onHandshake takes the reply to our handshake: who is there, and whether we are
// linked to it already under another name.
func (l *link) onHandshake(r client.Reply) {
	c := l.cloud
	ext, _ := parseExt(r.ExtField(ExtKey))
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.state == Duplicate || l.state == Closed {
		return
	}
	l.peerID, l.peerURL = ext.ID, ext.URL
	l.goodbye = time.Time{}
	l.session++
	clear(l.marks)
	clear(l.dirty)
	c.move(l, evAccepted)
	if ext.ID == "" {
		c.log.Warn("a Bayeux server that is no Oort comet: it is not joined", zap.String("url", l.url))
		return
	}
	for _, other := range c.links {
		if other != l && other.peerID == ext.ID && other.state != Duplicate && other.state != Closed &&
			(other.state.connected() || other.state == Broken) {
			// The peer has dropped the older session, as newer ones win there.
			c.log.Info("two links lead to one comet; the newer stays", zap.String("url", ext.URL),
				zap.String("older", other.url), zap.String("newer", l.url))
			other.twin = l
			c.move(other, evTwin)
			c.restart(other)
		}
	}
	if c.peers[ext.ID] != nil {
		c.move(l, evPeer)
	}
}

// happened takes what the client tells of its connection.
func (l *link) happened(e event) {
	c := l.cloud
	c.mu.Lock()
	defer c.mu.Unlock()
	if e == evEnded && (l.state == Duplicate || l.state == Refused) {
		return
	}
	before := l.state
	c.move(l, e)
	if e != evResumed || before != Broken || l.state != Handshaken {
		return
	}
	// What the peer still observes for us and what we want may differ by now.
	l.session++
	for ch := range l.marks {
		l.marks[ch] = markSent
		if c.interests[ch] == nil {
			l.dirty[ch] = struct{}{}
		}
	}
	if c.peers[l.peerID] != nil {
		c.move(l, evPeer)
	}
}

// onMessage takes a message of the peer to the local clients.
func (l *link) onMessage(m *bayeux.Message) {
	why := accept(m)
	if why == "" && l.mute.Load() {
		why = DropStale
	}
	if why != "" {
		l.cloud.counts.dropped[why].Add(1)
		return
	}
	l.cloud.counts.received.Add(1)
	l.cloud.comet.Deliver(m)
}

// move lets an event happen to a link, and does what its new state asks for. The
// lock is held.
func (c *Cloud) move(l *link, e event) {
	old := l.state
	l.state = next(old, e)
	if l.state == old && e != evAccepted {
		return
	}
	now := time.Now()
	l.since = now
	if old.connected() {
		l.down = now
	}
	if old.reached() {
		l.apart = now
	}
	if l.state.reached() {
		l.failed, l.told = nil, telling{}
	}
	l.mute.Store(l.state == Duplicate || l.state == Closed)
	level := zap.DebugLevel
	if (old == Joined) != (l.state == Joined) {
		level = zap.InfoLevel
	}
	c.log.Log(level, "link", zap.String("url", l.url), zap.Stringer("from", old), zap.Stringer("to", l.state))
	if l.state == Joined || old.connected() != l.state.connected() {
		l.late = false
		c.openGates()
	}
	switch l.state {
	case Dialing, Refused, Closed:
		l.session++
		l.peerID, l.peerURL = "", ""
		clear(l.marks)
		clear(l.dirty)
		for _, other := range c.links {
			if other.twin == l {
				other.twin = nil
				c.move(other, evEnded)
			}
		}
	}
	l.signal()
	c.signal()
}

// hurry makes a link that has been down for a while dial at once: there is a sign
// that the comet is back. One that has only begun to dial is left alone, for its
// handshake may be on the way. The lock is held.
func (c *Cloud) hurry(l *link) {
	if !l.state.connected() && l.state != Duplicate && time.Since(l.since) > 8*c.cfg.MinBackoff {
		c.restart(l)
	}
}

// restart ends the link's client, if any, and has the next one begin at once. The
// lock is held.
func (c *Cloud) restart(l *link) {
	l.again = true
	if l.abort != nil {
		l.abort()
	}
	l.signal()
}
