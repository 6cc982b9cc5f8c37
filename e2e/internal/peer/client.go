package peer

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

// The transports of a client.
const (
	WebSocket   = "websocket"
	LongPolling = "long-polling"
)

// Client is a CometD JavaScript client in a process of its own.
type Client struct {
	*proc.Process
	events
	tb testing.TB
}

// Options say what client to start.
type Options struct {
	// Project is node8 or node7.
	Project string
	// URL is the Bayeux endpoint; Transport is WebSocket or LongPolling; Local is the
	// address that its connections leave from.
	URL, Transport, Local string
}

// Name tells the options apart in logs and subtests.
func (o Options) Name() string { return fmt.Sprintf("%s-%s-%s", o.Project, o.Transport, o.Local) }

// Start starts a client, which handshakes by itself.
func Start(tb testing.TB, o Options) *Client {
	tb.Helper()
	c := &Client{tb: tb}
	args := []string{"client.js", "--url", o.URL, "--transport", o.Transport}
	if o.Local != "" {
		args = append(args, "--localAddress", o.Local)
	}
	c.Process = proc.Start(tb, proc.Spec{
		Name: o.Name(), Path: "node", Args: args, Dir: dir(tb, o.Project), OnLine: c.line,
	})
	c.strict(tb, c.Name)
	tb.Cleanup(func() {
		for _, e := range c.All() {
			if e.Event == "socket" && e.Local != o.Local {
				tb.Errorf("a connection of %s left from %s", c.Name, e.Local)
			}
		}
	})
	return c
}

func (c *Client) tell(command map[string]any) {
	c.tb.Helper()
	line, err := json.Marshal(command)
	if err != nil {
		c.tb.Fatal(err)
	}
	if err := c.Send(string(line)); err != nil {
		c.tb.Fatal(err)
	}
}

// Subscribe tells the client to subscribe, now and after every handshake.
func (c *Client) Subscribe(channel string) {
	c.tb.Helper()
	c.tell(map[string]any{"cmd": "subscribe", "channel": channel})
}

// Unsubscribe ends a subscription. What comes on the channel afterwards, though it
// should not, is an event like any message.
func (c *Client) Unsubscribe(within time.Duration, channel string) {
	c.tb.Helper()
	mark := c.Mark()
	c.tell(map[string]any{"cmd": "unsubscribe", "channel": channel})
	e := c.await(c.tb, within, mark, c.Name+" is unsubscribed from "+channel, func(e Event) bool {
		return e.Event == "unsubscribed" && e.Channel == channel
	})
	if !e.OK {
		c.tb.Errorf("%s: unsubscribe from %s: %s", c.Name, channel, e.Error)
	}
}

// Publish tells the client to publish; the outcome comes under ref, see Published.
func (c *Client) Publish(channel, data, ref string) {
	c.tb.Helper()
	c.tell(map[string]any{"cmd": "publish", "channel": channel, "data": json.RawMessage(data), "ref": ref})
}

// Published waits for the outcome of a publish.
func (c *Client) Published(within time.Duration, ref string) Event {
	c.tb.Helper()
	return c.await(c.tb, within, 0, c.Name+" learns what became of publish "+ref, func(e Event) bool {
		return e.Event == "published" && e.Ref == ref
	})
}

// Connected waits, from a mark on, until the client says that it is connected.
func (c *Client) Connected(within time.Duration, mark int) Event {
	c.tb.Helper()
	return c.await(c.tb, within, mark, c.Name+" is connected", func(e Event) bool { return e.Event == "connected" })
}

// Subscribed waits, from a mark on, for a successful subscription.
func (c *Client) Subscribed(within time.Duration, mark int, channel string) Event {
	c.tb.Helper()
	return c.await(c.tb, within, mark, c.Name+" is subscribed to "+channel, func(e Event) bool {
		return e.Event == "subscribed" && e.Channel == channel && e.OK
	})
}

// Handshaken waits, from a mark on, for a successful handshake.
func (c *Client) Handshaken(within time.Duration, mark int) Event {
	c.tb.Helper()
	return c.await(c.tb, within, mark, c.Name+" has a session", func(e Event) bool {
		return e.Event == "handshake" && e.OK
	})
}

// Message waits, from a mark on, for a message.
func (c *Client) Message(within time.Duration, mark int, channel, data string) Event {
	c.tb.Helper()
	return c.await(c.tb, within, mark, c.Name+" gets "+data, func(e Event) bool {
		return e.Event == "message" && e.Channel == channel && string(e.Data) == data
	})
}

// Copies returns how often a message has come.
func (c *Client) Copies(channel, data string) int {
	return c.Count(func(e Event) bool { return e.Event == "message" && e.Channel == channel && string(e.Data) == data })
}

// Times returns how often an event has come.
func (c *Client) Times(event string) int {
	return c.Count(func(e Event) bool { return e.Event == event })
}

// Transport asks the client which transport it uses now.
func (c *Client) Transport() string {
	c.tb.Helper()
	mark := c.Mark()
	c.tell(map[string]any{"cmd": "state"})
	return c.await(c.tb, proc.Patience, mark, c.Name+" tells its state", func(e Event) bool {
		return e.Event == "state"
	}).Transport
}

// Disconnect ends the session and the process.
func (c *Client) Disconnect() {
	c.tb.Helper()
	c.tell(map[string]any{"cmd": "disconnect"})
	e := c.await(c.tb, proc.Patience, 0, c.Name+" is disconnected", func(e Event) bool { return e.Event == "disconnected" })
	if !e.OK {
		c.tb.Errorf("%s: the disconnect failed", c.Name)
	}
}
