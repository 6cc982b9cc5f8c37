package comet

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// Channel is a channel or pattern of a server, by its name. It is a handle: to have
// one creates nothing. A channel exists while it has subscribers here, and for as
// long as something is registered or set by the program: a listener, an authorizer,
// a flag. See [SecurityPolicy] for what that means to those who want to use it.
//
// Two handles of one name are the same channel. The methods may be called from any
// goroutine, and from callbacks.
type Channel struct {
	srv  *Server
	name string
}

// Channel is the channel or pattern of that name. The error wraps
// [bayeux.ErrChannel].
func (s *Server) Channel(name string) (*Channel, error) {
	if !bayeux.ValidChannel(name) {
		return nil, fmt.Errorf("comet: channel %q: %w", name, bayeux.ErrChannel)
	}
	return &Channel{s, bayeux.CleanChannel(name)}, nil
}

// Name is the name, without a trailing slash.
func (c *Channel) Name() string { return c.name }

// Listener sees a message that was published on a channel: before it goes to its
// subscribers, or, of a service channel, instead. False deletes it: its publisher
// gets 404::message_deleted. It may change the message by its method Set.
//
// It is called in the goroutine that handles the publisher's request (of what the
// program publishes, in that; of what another comet forwards, in that of the link),
// under no lock, and may call everything of this package. It delays the reply to the
// publisher and nobody else. If it panics, the message is deleted with
// 500::internal_error.
type Listener func(m *Message) bool

// AddListener makes l see what is published on the channel, or on those that match
// the pattern, until the result is called. The widest pattern comes first, the
// channel itself last, as in CometD.
func (c *Channel) AddListener(l Listener) (remove func()) {
	return c.srv.listen(c.name, func(m *Message) bayeux.Error {
		if !l(m) {
			return bayeux.ErrorMessageDeleted
		}
		return ""
	})
}

// AddAuthorizer makes a decide on the channel, or on those that match the pattern,
// until the result is called.
func (c *Channel) AddAuthorizer(a Authorizer) (remove func()) {
	e := &entry[Authorizer]{a}
	c.change(func(r *registration) { r.authorizers = append(slices.Clip(r.authorizers), e) })
	return func() { c.change(func(r *registration) { r.authorizers = without(r.authorizers, e) }) }
}

// AddSubscriptionListener makes l see subscriptions to exactly this channel or
// pattern, until the result is called.
func (c *Channel) AddSubscriptionListener(l SubscriptionListener) (remove func()) {
	e := &entry[SubscriptionListener]{l}
	c.change(func(r *registration) { r.subscriptions = append(slices.Clip(r.subscriptions), e) })
	return func() { c.change(func(r *registration) { r.subscriptions = without(r.subscriptions, e) }) }
}

// SetPersistent makes the channel exist although nobody uses it.
func (c *Channel) SetPersistent(on bool) {
	c.change(func(r *registration) { r.flags.persistent = on })
}

// SetLazy makes the messages of the channel, or of those that match the pattern,
// wait for others: they leave with the next message that is not lazy, with the next
// answer, or after the lazy timeout (Config.MaxLazyTimeout).
func (c *Channel) SetLazy(on bool) { c.change(func(r *registration) { r.flags.lazy = on }) }

// SetLazyTimeout bounds the time that lazy messages of the channel wait. A positive
// one makes it lazy, another one makes it not lazy, as in CometD.
func (c *Channel) SetLazyTimeout(d time.Duration) {
	c.change(func(r *registration) { r.flags.lazyTimeout, r.flags.lazy = max(0, d), d > 0 })
}

// SetBroadcastToPublisher says whether publishers that have subscribed to the
// channel, or to one that matches the pattern, get their own messages. Without it
// Config.BroadcastToPublisher counts.
func (c *Channel) SetBroadcastToPublisher(on bool) {
	c.change(func(r *registration) {
		if r.flags.toPublisher = -1; on {
			r.flags.toPublisher = 1
		}
	})
}

func (c *Channel) change(edit func(*registration)) { c.srv.registered.change(c.name, edit) }

// Subscribers are the sessions that have subscribed to exactly this channel or
// pattern, other comets not among them, in no order.
func (c *Channel) Subscribers() []*Session { return c.srv.channels.subscribers(c.name) }

// Exists tells whether the channel is there.
func (c *Channel) Exists() bool { return c.srv.exists(c.name) }

// ErrDeleted is what [Channel.Publish] returns when a listener or extension has
// deleted the message.
var ErrDeleted = errors.New("the message was deleted")

// Publish publishes data on the channel: at this comet, and at the others of its
// cloud. No policy and no authorizer is asked, but listeners and extensions see it,
// and may delete it ([ErrDeleted]). data is what encoding/json can encode, a
// [bayeux.RawJSON], or a [Payload]. from may be nil; given, it is who has published
// for the listeners and for [Channel.SetBroadcastToPublisher].
//
// When it returns, the message is in the queue of every subscriber at this comet. A
// service channel has none: only listeners here get it.
func (c *Channel) Publish(from *Session, data any) error {
	if bayeux.KindOf(c.name) == bayeux.Meta || bayeux.IsWild(c.name) {
		return fmt.Errorf("comet: publish to %s: %w", c.name, bayeux.ErrChannel)
	}
	in, err := newMessage(c.name, data)
	if err != nil {
		return fmt.Errorf("comet: publish to %s: %w", c.name, err)
	}
	m := &Message{Message: in, From: from}
	see := func(*bayeux.Message) *Message { return m }
	if bad := c.srv.publish(c.name, in, see, (*session)(from), audience{ordinary: true, peers: true}); bad != "" {
		return fmt.Errorf("comet: publish to %s: %w (%s)", c.name, ErrDeleted, bad)
	}
	return nil
}

// Payload is data that brings an ext of its own, as that of comet/ext/binary does.
type Payload interface {
	// Payload gives the message's data, and its ext, which may be empty.
	Payload() (data, ext bayeux.RawJSON)
}

// newMessage makes a message as a client would send it.
func newMessage(channel string, data any) (*bayeux.Message, error) {
	m := &bayeux.Message{Raw: "{}"}
	m.Set("channel", bayeux.String(channel))
	if p, ok := data.(Payload); ok {
		data, ext := p.Payload()
		m.Set("data", data)
		if ext != "" {
			m.Set("ext", ext)
		}
		return m, nil
	}
	text, err := bayeux.JSON(data)
	if err != nil {
		return nil, err
	}
	m.Set("data", text)
	return m, nil
}
