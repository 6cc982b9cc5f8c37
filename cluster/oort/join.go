package oort

import (
	"context"
	"slices"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/bayeux/client"
	"go.uber.org/zap"
)

// A batch goes in one frame, and peers bound their frames (CometD's maxMessageSize
// is 64 KiB by default): larger ones are cut, in the same order.
const (
	maxBatchBytes = 32 << 10
	// requestBytes is what a request takes besides its channel and data: id,
	// clientId and the names of the fields.
	requestBytes = 192
)

// task is the next thing to send on a link.
type task struct {
	session  uint64
	requests []client.Request
	join     bool // a join batch; else a change of subscriptions
}

// work sends what there is to send on the link. It is false when something was not
// taken and must be tried again later.
func (l *link) work(ctx context.Context, cl *client.Client) bool {
	for {
		t := l.cloud.task(l)
		if len(t.requests) == 0 {
			return true
		}
		var last bool
		for batch := range batches(t.requests, maxBatchBytes) {
			replies, err := cl.Batch(ctx, batch)
			if err != nil {
				l.cloud.unsent(l, t)
				return false
			}
			last = l.cloud.learn(l, t.session, batch, replies)
		}
		if t.join && !l.cloud.taken(l, t.session, last) {
			return false
		}
	}
}

// task decides what comes next on a link; nothing when all is said.
func (c *Cloud) task(l *link) task {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch l.state {
	case Joining:
		return task{session: l.session, requests: c.joinBatch(l), join: true}
	case Joined:
		return task{session: l.session, requests: c.changes(l)}
	}
	return task{}
}

// joinBatch is the join of section "Joining" of the package overview. The lock is held.
func (c *Cloud) joinBatch(l *link) []client.Request {
	reqs := make([]client.Request, 0, len(c.interests)+3)
	reqs = append(reqs, client.SubscribeRequest(channelCloud))
	channels := make([]string, 0, len(c.interests))
	for ch := range c.interests {
		channels = append(channels, ch)
		l.marks[ch] = markSent
		delete(l.dirty, ch)
	}
	slices.Sort(channels)
	for _, ch := range channels {
		reqs = append(reqs, client.SubscribeRequest(ch))
	}
	for list := range cut(c.known(), maxBatchBytes/2) {
		reqs = append(reqs, client.PublishRequest(channelCloud, mustJSON(list)))
	}
	return append(reqs, client.PublishRequest(channelJoin, c.me.join()))
}

// known lists the URLs of the comets to which a link of ours stands. The lock is held.
func (c *Cloud) known() []string {
	var urls []string
	for _, l := range c.links {
		if l.peerURL != "" && l.state != Duplicate {
			urls = append(urls, l.peerURL)
		}
	}
	slices.Sort(urls)
	return slices.Compact(urls)
}

// changes is what brings the observed channels at the peer to what is wanted now.
// The lock is held.
func (c *Cloud) changes(l *link) []client.Request {
	const most = maxBatchBytes / requestBytes
	reqs := make([]client.Request, 0, min(len(l.dirty), most))
	for ch := range l.dirty {
		if len(reqs) == most {
			break
		}
		delete(l.dirty, ch)
		wanted, m := c.interests[ch] != nil, l.marks[ch]
		switch {
		case wanted && m != markConfirmed && m != markDenied:
			reqs = append(reqs, client.SubscribeRequest(ch))
		case !wanted && m == markDenied:
			delete(l.marks, ch)
			continue
		case !wanted && m != 0:
			reqs = append(reqs, client.UnsubscribeRequest(ch))
		default:
			continue
		}
		l.marks[ch] = markSent
	}
	return reqs
}

// learn takes the replies to a batch into the marks. It reports whether the last one
// was successful.
func (c *Cloud) learn(l *link, session uint64, batch []client.Request, replies []client.Reply) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.session != session || len(replies) != len(batch) {
		return false
	}
	if l.state == Joined && l.gossip != gossipFailed {
		l.late = false
	}
	for i, req := range batch {
		if len(req.Subscription) == 0 || req.Subscription[0] == channelCloud {
			continue
		}
		ch := req.Subscription[0]
		switch {
		case req.Channel == bayeux.MetaUnsubscribe:
			delete(l.marks, ch)
		case replies[i].Successful:
			l.marks[ch] = markConfirmed
		default:
			l.marks[ch] = markDenied
			c.counts.denied.Add(1)
			c.warn("denied", "a comet does not let us observe a channel",
				zap.String("url", l.url), zap.String("channel", ch), zap.String("error", replies[i].Error))
		}
		c.openGate(ch)
	}
	return replies[len(replies)-1].Successful
}

// unsent has a change of subscriptions, whose replies did not come, looked at again.
func (c *Cloud) unsent(l *link, t task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.session != t.session || t.join {
		return
	}
	for _, req := range t.requests {
		ch := req.Subscription[0]
		if l.marks[ch] == markSent {
			l.dirty[ch] = struct{}{}
		}
	}
}

// taken ends a join: joined if its last reply was successful. It is false when the
// join must be sent again.
func (c *Cloud) taken(l *link, session uint64, successful bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.session != session {
		return true // another session: begun anew by what began it
	}
	if !successful {
		c.warn("join-refused", "a comet does not take our join; sent again", zap.String("url", l.url))
		return false
	}
	c.move(l, evTaken)
	return true
}

// batches cuts requests into pieces of at most limit bytes, in order.
func batches(reqs []client.Request, limit int) func(yield func([]client.Request) bool) {
	return pieces(reqs, limit, func(r client.Request) int {
		n := requestBytes + len(r.Channel) + len(r.Data)
		for _, s := range r.Subscription {
			n += len(s)
		}
		return n
	})
}

// cut cuts a list of URLs into pieces of at most limit bytes; an empty list is one
// empty piece.
func cut(urls []string, limit int) func(yield func([]string) bool) {
	if len(urls) == 0 {
		return func(yield func([]string) bool) { yield([]string{}) }
	}
	return pieces(urls, limit, func(u string) int { return len(u) + len(`"",`) })
}

func pieces[T any](list []T, limit int, size func(T) int) func(yield func([]T) bool) {
	return func(yield func([]T) bool) {
		for begin := 0; begin < len(list); {
			end, n := begin+1, size(list[begin])
			for end < len(list) && n+size(list[end]) <= limit {
				n += size(list[end])
				end++
			}
			if !yield(list[begin:end:end]) {
				return
			}
			begin = end
		}
	}
}
