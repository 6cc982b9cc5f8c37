package wire

import (
	"context"
	"fmt"
	"time"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

// Handshake asks for a session and keeps its clientId.
func (c *Client) Handshake() (Message, error) {
	c.ClientID = ""
	reply, err := c.request(context.Background(), "/meta/handshake",
		`"version":"1.0","minimumVersion":"1.0","supportedConnectionTypes":["long-polling"]`)
	if err == nil && reply.Successful {
		c.ClientID = reply.ClientID
	}
	return reply, err
}

// Connect sends one /meta/connect; timeout 0 or more goes along as advice.
func (c *Client) Connect(ctx context.Context, timeout int) (Message, error) {
	fields := `"connectionType":"long-polling"`
	if timeout >= 0 {
		fields += fmt.Sprintf(`,"advice":{"timeout":%d}`, timeout)
	}
	return c.request(ctx, "/meta/connect", fields)
}

// Subscribe subscribes to one channel.
func (c *Client) Subscribe(channel string) (Message, error) {
	return c.request(context.Background(), "/meta/subscribe", fmt.Sprintf(`"subscription":%q`, channel))
}

// Publish publishes data, which is JSON.
func (c *Client) Publish(channel, data string) (Message, error) {
	return c.request(context.Background(), channel, `"data":`+data)
}

// Disconnect ends the session.
func (c *Client) Disconnect() (Message, error) {
	return c.request(context.Background(), "/meta/disconnect", "")
}

// MustHandshake is Handshake, and fails the test unless it succeeds.
func (c *Client) MustHandshake() Message { c.tb.Helper(); return c.must(c.Handshake()) }

// MustSubscribe is Subscribe, and fails the test unless it succeeds.
func (c *Client) MustSubscribe(channel string) Message {
	c.tb.Helper()
	return c.must(c.Subscribe(channel))
}

// MustPublish is Publish, and fails the test unless it succeeds.
func (c *Client) MustPublish(channel, data string) Message {
	c.tb.Helper()
	return c.must(c.Publish(channel, data))
}

// MustConnect is a Connect answered at once, and fails the test unless it succeeds.
func (c *Client) MustConnect() Message {
	c.tb.Helper()
	return c.must(c.Connect(context.Background(), 0))
}

func (c *Client) must(m Message, err error) Message {
	c.tb.Helper()
	if err != nil {
		c.tb.Fatalf("client of %s: %v", c.URL, err)
	}
	if !m.Successful {
		c.tb.Fatalf("client of %s: %s answered %q, %s", c.URL, m.Channel, m.Error, m.Has["advice"])
	}
	return m
}

// Listen connects again and again in the background until Close. A failed connect
// is noted, see Failures, and ends it: this client repairs nothing.
func (c *Client) Listen() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel, c.ended = cancel, make(chan struct{})
	go func() {
		defer close(c.ended)
		timeout := 0
		for ctx.Err() == nil {
			reply, err := c.Connect(ctx, timeout)
			timeout = -1
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				c.note(err.Error())
				return
			case !reply.Successful:
				c.note(reply.Error)
				return
			}
		}
	}()
}

func (c *Client) note(failure string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = append(c.failed, failure)
}

// Failures returns what ended listening, if anything did.
func (c *Client) Failures() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.failed...)
}

// Received returns the messages so far, in the order of their arrival.
func (c *Client) Received() []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Message(nil), c.received...)
}

// Await waits until a message with this data has come on a channel.
func (c *Client) Await(within time.Duration, channel, data string) {
	c.tb.Helper()
	proc.Until(c.tb, within, fmt.Sprintf("%s on %s at %s", data, channel, c.URL), func() error {
		for _, m := range c.Received() {
			if m.Channel == channel && string(m.Data) == data {
				return nil
			}
		}
		return fmt.Errorf("%d other messages, failures %q", len(c.Received()), c.Failures())
	})
}

// Count returns how often a message with this data has come on a channel.
func (c *Client) Count(channel, data string) int {
	n := 0
	for _, m := range c.Received() {
		if m.Channel == channel && string(m.Data) == data {
			n++
		}
	}
	return n
}
