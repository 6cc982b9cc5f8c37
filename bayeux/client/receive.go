package client

import "github.com/halleycomet/halley/bayeux"

// call is one exchange that waits for its replies.
type call struct {
	ids     []string
	replies []Reply
	left    int
	err     error
	done    chan struct{} // closed when left is 0 or err is set; both are final then
}

func newCall(ids []string) *call {
	return &call{ids: ids, replies: make([]Reply, len(ids)), left: len(ids), done: make(chan struct{})}
}

// wants tells which reply m is, -1 when it is none of them, or came before.
func (k *call) wants(m *bayeux.Message) int {
	for i, id := range k.ids {
		if id == m.ID && k.replies[i].ID == "" {
			return i
		}
	}
	return -1
}

func (k *call) answer(i int, m *bayeux.Message) {
	k.replies[i] = Reply{Message: *m}
	if k.left--; k.left == 0 {
		close(k.done)
	}
}

// answers is how a link finds whom a reply is for. The function returned hands
// it over; nil means that nobody waits.
type answers func(m *bayeux.Message) (deliver func())

// receive sorts what came over a link: replies to those who wait, messages to
// the inbox, in the order of arrival. An error means that the link is of no
// more use.
func (c *Client) receive(l link, msgs []bayeux.Message, find answers) error {
	for i := range msgs {
		m := &msgs[i]
		if isReply(m) {
			deliver := find(m)
			switch {
			case deliver == nil:
				c.lateReplies.Add(1)
			case m.Channel == bayeux.MetaHandshake && m.Successful && m.ClientID != "":
				// Before the handshake is known to Run, so that OnHandshake stands in
				// front of whatever message comes next.
				c.establish(l, Reply{Message: *m})
				deliver()
			default:
				deliver()
			}
			continue
		}
		if bayeux.KindOf(m.Channel) == bayeux.Meta {
			if m.Channel == bayeux.MetaDisconnect && m.Successful {
				return ErrServerDisconnect
			}
			c.lateReplies.Add(1)
			continue
		}
		if err := c.inbox.put(event{msg: m}, c.cfg.MaxNetworkDelay, l.broken()); err != nil {
			c.inbox.drop(countMessages(msgs[i+1:]))
			return err
		}
	}
	return nil
}

// isReply tells a reply from a message on the same channel: a publish reply has
// no data. A server's own /meta/disconnect has no id (CometD does that).
func isReply(m *bayeux.Message) bool {
	if bayeux.KindOf(m.Channel) == bayeux.Meta {
		return m.HasID
	}
	return m.HasID && m.Data == ""
}

func countMessages(msgs []bayeux.Message) (n int) {
	for i := range msgs {
		if !isReply(&msgs[i]) && bayeux.KindOf(msgs[i].Channel) != bayeux.Meta {
			n++
		}
	}
	return n
}

// establish makes the session that a handshake reply tells of, and queues
// OnHandshake.
func (c *Client) establish(l link, reply Reply) {
	s := &session{id: reply.ClientID, link: l, handled: make(chan struct{})}
	c.mu.Lock()
	c.session = s
	c.mu.Unlock()
	c.handshakes.Add(1)
	c.change(func() {
		if c.cfg.OnHandshake != nil {
			c.cfg.OnHandshake(reply)
		}
		close(s.handled)
	})
}

// change queues a callback that tells of a change of the connection.
func (c *Client) change(tell func()) {
	c.inbox.offer(event{tell: tell}) // changes always fit
}

// deliver runs the callbacks until the inbox closes.
func (c *Client) deliver() {
	for {
		e, ok := c.inbox.take()
		switch {
		case !ok:
			return
		case e.msg == nil:
			e.tell()
		case c.cfg.OnMessage != nil:
			c.cfg.OnMessage(e.msg)
		}
	}
}
