package peer

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

// The transports of a client.
const (
	WebSocket       = "websocket"
	LongPolling     = "long-polling"
	CallbackPolling = "callback-polling"
)

// Client is a client of others, in a process or a browser tab of its own.
type Client struct {
	// Name tells it apart in logs.
	Name string
	events
	tb   testing.TB
	send func(line string) error
}

// Options say what client to start.
type Options struct {
	// Project is the directory of the client: node5, node7, node8, node9, faye or
	// java-client.
	Project string
	// URL is the Bayeux endpoint; Transport is one of those above; Local is the address
	// that its connections leave from, which the Java client and a tab do not choose.
	URL, Transport, Local string
	// Page is the origin of a tab's page, by default that of the URL. Tabs with the same Jar
	// have their cookies in common. Reload registers CometD's extension with which a tab's
	// session outlives its page.
	Page, Jar string
	Reload    bool
	// Ack registers CometD's extension for acknowledged messages.
	Ack bool
	// Authority is a PEM file with whom a client in Node trusts beside the known authorities.
	Authority string
}

// Name tells the options apart in logs and subtests.
func (o Options) Name() string {
	name := o.Project + "-" + o.Transport
	if o.Ack {
		name += "-ack"
	}
	if o.Page != "" {
		name += "-cross-origin"
	}
	if o.Local != "" {
		name += "-" + o.Local
	}
	return name
}

// Start starts a client in a process of its own. It handshakes by itself.
func Start(tb testing.TB, o Options) *Client {
	tb.Helper()
	c := &Client{Name: o.Name(), tb: tb}
	s := proc.Spec{Name: c.Name, Path: "node", Args: []string{"client.js"}, Dir: dir(tb, o.Project), OnLine: c.line}
	if o.Project == "java-client" {
		s.Path, s.Args = "java", []string{"-Xmx64m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-jar", "target/java-client.jar"}
	}
	s.Args = append(s.Args, "--url", o.URL, "--transport", o.Transport)
	if o.Ack {
		s.Args = append(s.Args, "--ack")
	}
	if o.Local != "" {
		s.Args = append(s.Args, "--localAddress", o.Local)
	}
	if o.Authority != "" {
		s.Env = append(s.Env, "NODE_EXTRA_CA_CERTS="+o.Authority)
	}
	c.send = proc.Start(tb, s).Send
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
	if err := c.send(string(line)); err != nil {
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

// PublishBytes publishes with CometD's extension for binary data. A message that
// carries some has the data {"bytes":[...]}.
func (c *Client) PublishBytes(channel string, bytes []byte, ref string) {
	c.tb.Helper()
	numbers := make([]int, len(bytes))
	for i, b := range bytes {
		numbers[i] = int(b)
	}
	c.tell(map[string]any{"cmd": "publish", "channel": channel, "bytes": numbers, "ref": ref})
}

// Call has the client make a remote call, and waits for the answer.
func (c *Client) Call(within time.Duration, target, data, ref string) Event {
	c.tb.Helper()
	c.tell(map[string]any{
		"cmd": "call", "channel": target, "data": json.RawMessage(data), "timeout": within.Milliseconds(), "ref": ref,
	})
	return c.await(c.tb, within, 0, c.Name+" has an answer to the call "+ref, func(e Event) bool {
		return e.Event == "called" && e.Ref == ref
	})
}

// Batch tells the client to publish several messages in one batch; the outcome of
// each comes under its data, see Published.
func (c *Client) Batch(channel string, data ...string) {
	c.tb.Helper()
	var all []map[string]any
	for _, d := range data {
		all = append(all, map[string]any{"channel": channel, "data": json.RawMessage(d), "ref": d})
	}
	c.tell(map[string]any{"cmd": "batch", "messages": all})
}

// Published waits for the outcome of a publish.
func (c *Client) Published(within time.Duration, ref string) Event {
	c.tb.Helper()
	return c.await(c.tb, within, 0, c.Name+" learns what became of publish "+ref, func(e Event) bool {
		return e.Event == "published" && e.Ref == ref
	})
}

// Outcome is what became of a publish, if anything is known yet.
func (c *Client) Outcome(ref string) (outcome Event, known bool) {
	for _, e := range c.All() {
		if e.Event == "published" && e.Ref == ref {
			return e, true
		}
	}
	return Event{}, false
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

// Disconnect ends the session. The process goes on, so that what it does with its
// connections is its library's doing.
func (c *Client) Disconnect() {
	c.tb.Helper()
	c.tell(map[string]any{"cmd": "disconnect"})
	e := c.await(c.tb, proc.Patience, 0, c.Name+" is disconnected", func(e Event) bool { return e.Event == "disconnected" })
	if !e.OK {
		c.tb.Errorf("%s: the disconnect failed", c.Name)
	}
}
