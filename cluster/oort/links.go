package oort

import (
	"time"

	"github.com/halleycomet/halley/cluster"
	"go.uber.org/zap"
)

// gossip is what the cluster says about the comet at the end of a link.
type gossip uint8

const (
	gossipNone   gossip = iota // nothing, or not to be believed: the comet itself has spoken since
	gossipUp                   // it is there
	gossipFailed               // it was there and no longer answers
	gossipLeft                 // it was there and has gone in order
)

// farewell is how long a link to a comet that has said goodbye may stay connected:
// time for what is still on the way, and for a peer that only dials anew.
const farewell = 5 * time.Second

// wanted decides whether a link is kept, and for how long that holds without
// anything else happening (0: for ever).
//
// A link to a comet that gossip has given up is kept while it is connected: an
// overloaded observer takes the living for dead, and a link cut and made anew
// loses what was on the way.
func (l *link) wanted(now time.Time, forgetAfter time.Duration) (keep bool, until time.Duration) {
	if l.state == Closed {
		return false, 0
	}
	if l.static || l.gossip == gossipUp {
		return true, 0
	}
	if l.gossip == gossipLeft {
		return false, 0
	}
	connected := l.state.connected()
	if !l.goodbye.IsZero() {
		left := farewell - now.Sub(l.goodbye)
		return connected && left > 0, max(0, left)
	}
	if connected {
		return true, 0
	}
	if l.gossip == gossipFailed {
		return false, 0
	}
	left := forgetAfter - now.Sub(l.down)
	return left > 0, max(0, left)
}

// connected reports whether a session at the peer and a connection to it stand.
func (s State) connected() bool { return s == Handshaken || s == Joining || s == Joined }

// reconcile starts the links that are new, stops those that are not wanted, and
// tells after what time to look again (0: when signalled). start is called with the
// lock held and must only start a goroutine.
func (c *Cloud) reconcile(start func(*link)) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	var next time.Duration
	for u, l := range c.links {
		keep, until := l.wanted(now, c.cfg.ForgetAfter)
		if keep {
			if l.cancel == nil {
				start(l)
			}
			for _, d := range []time.Duration{until, c.tellApart(l, now)} {
				if d > 0 && (next == 0 || d < next) {
					next = d
				}
			}
			continue
		}
		c.move(l, evStop)
		delete(c.links, u)
		if l.cancel != nil {
			l.cancel()
		}
	}
	return next
}

// ensure returns the link that dials u, a new one if there was none; nil when there
// are MaxLinks already. The lock is held, or the cloud not yet in use.
func (c *Cloud) ensure(u, alias string, now time.Time) *link {
	if l := c.links[u]; l != nil {
		return l
	}
	if len(c.links) >= c.cfg.MaxLinks {
		c.warn("links-full", "a comet is not linked: there are too many",
			zap.String("url", u), zap.Int("max-links", c.cfg.MaxLinks))
		return nil
	}
	l := newLink(c, u, alias, now)
	c.links[u] = l
	c.signal()
	return l
}

// linkTo returns the link to the comet with this URL, under whatever name it is
// dialled, or nil. The lock is held.
func (c *Cloud) linkTo(u string) *link {
	if l := c.links[u]; l != nil && l.state != Duplicate {
		return l
	}
	for _, l := range c.links {
		if l.peerURL == u && l.state != Duplicate {
			return l
		}
	}
	return c.links[u]
}

// applyView takes what the cluster knows into the links.
func (c *Cloud) applyView(v *cluster.View) {
	live := make(map[string]cluster.Node)
	gone := make(map[string]gossip)
	for _, n := range v.Nodes {
		if n.Role != cluster.RoleComet || n.URL == c.me.url {
			continue
		}
		switch {
		case n.State.Live():
			// Of two incarnations at one URL the newest counts.
			if o, ok := live[n.URL]; !ok || n.Started.After(o.Started) {
				live[n.URL] = n
			}
		case n.State == cluster.Left:
			gone[n.URL] = gossipLeft
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for u, n := range live {
		if err := checkURL(u); err != nil {
			c.warn("view-url", "a comet of the cluster has an unusable URL", zap.String("name", n.Name), zap.Error(err))
			continue
		}
		l := c.links[u]
		if l == nil && n.State == cluster.Up {
			l = c.ensure(u, "", now)
		}
		if l == nil {
			continue
		}
		l.gossip = gossipUp
		if l.tag != "" && l.tag != n.Tag {
			c.hurry(l) // another process listens there now
		}
		l.tag = n.Tag
	}
	for u, l := range c.links {
		if _, ok := live[u]; ok || l.gossip != gossipUp {
			continue
		}
		if l.gossip = gone[u]; l.gossip == gossipNone {
			l.gossip = gossipFailed
		}
		if !l.late {
			l.late = true
			c.openGates()
		}
	}
	c.signal()
}
