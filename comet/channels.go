package comet

import (
	"slices"
	"strings"
	"sync"

	"github.com/halleycomet/halley/bayeux"
)

// channels knows who subscribed to what. A channel is here while it has
// subscribers.
//
// The lock order is channels, then session: messages are put into the queues
// under the read lock, so nobody gets a message after the reply to its
// unsubscribe. (Nobody but sessions with extensions that see what they get: these
// run under no lock.)
type channels struct {
	// fixed after construction
	limits channelLimits

	interest interest // has a lock of its own

	mu sync.RWMutex
	// guarded by mu
	byName map[string]*channel
	// changes of interest that the cloud has not been told yet
	changes []interestChange
}

// channelLimits bound what clients can make grow; peers are not limited. 0: no limit.
type channelLimits struct {
	perSession int // subscriptions
	channels   int // in all
}

// channel is a name or pattern and its subscribers, in no order.
type channel struct {
	name        string
	subscribers []*subscription
	ordinary    int // how many of them are no peers
}

// subscription is one session's place among the subscribers of a channel.
type subscription struct {
	session *session
	channel *channel
	peer    bool
	index   int // in channel.subscribers
}

// subscribe is idempotent: added tells whether the session was no subscriber before.
// It returns an error when the session has ended, or one of the limits would be
// exceeded.
func (c *channels) subscribe(s *session, peer bool, name string) (added bool, bad bayeux.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.unsubscribed {
		return false, bayeux.ErrorSubscribeFailed
	}
	if s.subscriptions.of(name) != nil {
		return false, ""
	}
	if n := c.limits.perSession; n > 0 && !peer && s.subscriptions.len() >= n {
		return false, bayeux.Denied(bayeux.OperationSubscribe, bayeux.ReasonLimit)
	}
	ch := c.byName[name]
	if n := c.limits.channels; ch == nil && n > 0 && !peer && len(c.byName) >= n {
		return false, bayeux.Denied(bayeux.OperationCreate, bayeux.ReasonLimit)
	}
	if ch == nil {
		name = strings.Clone(name) // not a piece of a whole request
		ch = &channel{name: name}
		if c.byName == nil {
			c.byName = make(map[string]*channel)
		}
		c.byName[name] = ch
	}
	sub := &subscription{session: s, channel: ch, peer: peer, index: len(ch.subscribers)}
	ch.subscribers = append(ch.subscribers, sub)
	s.subscriptions.add(sub)
	if !peer {
		if ch.ordinary++; ch.ordinary == 1 {
			c.changes = append(c.changes, interestChange{ch.name, true})
		}
	}
	return true, ""
}

// unsubscribe is idempotent too: left tells whether the session was a subscriber.
// exists is false when nobody has subscribed to name.
func (c *channels) unsubscribe(s *session, name string) (left, exists bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName[name] == nil {
		return false, false
	}
	sub := s.subscriptions.of(name)
	if sub != nil {
		c.removeLocked(sub)
	}
	return sub != nil, true
}

// forget ends all subscriptions of a session, for good, and returns what they were.
func (c *channels) forget(s *session) (left []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.unsubscribed = true
	for sub := range s.subscriptions.all() {
		left = append(left, sub.channel.name)
		c.removeLocked(sub)
	}
	return left
}

func (c *channels) removeLocked(sub *subscription) {
	ch := sub.channel
	sub.session.subscriptions.remove(sub)
	last := len(ch.subscribers) - 1
	ch.subscribers[sub.index] = ch.subscribers[last]
	ch.subscribers[sub.index].index = sub.index
	ch.subscribers[last] = nil
	if ch.subscribers = ch.subscribers[:last]; last == 0 {
		delete(c.byName, ch.name)
	}
	if !sub.peer {
		if ch.ordinary--; ch.ordinary == 0 {
			c.changes = append(c.changes, interestChange{ch.name, false})
		}
	}
}

// audience says which subscribers a message goes to.
type audience struct {
	ordinary, peers bool
	not             *session // who gets none of it, though subscribed
}

// fanOut puts the message that encode makes, once and only if somebody wants it,
// into the queue of every subscriber of name in the audience: one copy per
// session, whatever it subscribed to. It returns the number of copies, and the
// sessions whose queues are full, which the caller cuts, and those with extensions
// of their own that see what they get, which the caller serves, since these run under
// no lock.
func (c *channels) fanOut(name string, to audience, encode func() *outgoing) (copies int, full []overflow, extended []*session) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var out *outgoing
	var seen [8]string
	matched := seen[:0] // the names before this one that have subscribers
	for _, pattern := range bayeux.Covering(name) {
		ch := c.byName[pattern]
		if ch == nil {
			continue
		}
		for _, sub := range ch.subscribers {
			if sub.peer && !to.peers || !sub.peer && !to.ordinary || sub.session == to.not || sub.session.subscribedToAny(matched) {
				continue
			}
			if sub.session.rewrites() {
				extended = append(extended, sub.session)
				continue
			}
			if out == nil {
				out = encode()
			}
			if why, ok := sub.session.enqueue(out); !ok {
				full = append(full, overflow{sub.session, why})
				continue
			}
			copies++
		}
		matched = append(matched, pattern)
	}
	return copies, full, extended
}

// has tells whether a channel has subscribers.
func (c *channels) has(name string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byName[name] != nil
}

// subscribers are those of exactly this name that are no peers.
func (c *channels) subscribers(name string) (all []*Session) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if ch := c.byName[name]; ch != nil {
		for _, sub := range ch.subscribers {
			if !sub.peer {
				all = append(all, sub.session.handle())
			}
		}
	}
	return all
}

// subscriptionsOf lists what a session has subscribed to, sorted.
func (c *channels) subscriptionsOf(s *session) []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var names []string
	for sub := range s.subscriptions.all() {
		names = append(names, sub.channel.name)
	}
	slices.Sort(names)
	return names
}

// overflow is a session whose queue is full.
type overflow struct {
	session *session
	why     Drop
}

// subscribedToAny is called under the lock of the channels.
func (s *session) subscribedToAny(names []string) bool {
	for _, name := range names {
		if s.subscriptions.of(name) != nil {
			return true
		}
	}
	return false
}

// wanted lists the channels with ordinary subscribers, sorted.
func (c *channels) wanted() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var names []string
	for name, ch := range c.byName {
		if ch.ordinary > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
