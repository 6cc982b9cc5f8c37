package browser

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// Two tabs of one browser: the second one's connects are not held, as each takes one of the browser's few
// connections; it polls, and misses nothing. When the first tab goes the second one's are held again.
func TestTwoTabs(t *testing.T) {
	m := cloud.New(t).Comet("comet-1")
	b := peer.StartBrowser(t)
	open := func() *peer.Client {
		c := b.Open(t, peer.Options{Project: "node9", Transport: peer.LongPolling, URL: m.URL(), Jar: "one"})
		c.Subscribe("/chat")
		c.Connected(proc.Patience, 0)
		c.Subscribed(proc.Patience, 0, "/chat")
		return c
	}
	crowded := func(c *peer.Client) func() error {
		return func() error {
			if c.Times("crowded") == 0 {
				return errors.New("not yet")
			}
			return nil
		}
	}
	other := wire.New(t, m.URL())
	other.MustHandshake()
	first := open()
	other.MustPublish("/chat", `"one"`)
	first.Message(proc.Patience, 0, "/chat", `"one"`)
	second := open()
	proc.Until(t, proc.Patience, "the second tab is told to poll", crowded(second))

	other.MustPublish("/chat", `"two"`)
	for _, c := range []*peer.Client{first, second} {
		c.Message(proc.Patience, 0, "/chat", `"two"`)
		if n := c.Copies("/chat", `"two"`); n != 1 {
			t.Errorf("%s got the message %d times", c.Name, n)
		}
	}
	if n := first.Times("crowded"); n != 0 {
		t.Errorf("the first tab was told to poll, too, %d times", n)
	}

	first.Disconnect()
	other.MustPublish("/chat", `"three"`)
	second.Message(proc.Patience, 0, "/chat", `"three"`)
	// Polling takes two seconds a message.
	const n = 5
	began := time.Now()
	for i := range n {
		data := fmt.Sprint(i)
		other.MustPublish("/chat", data)
		second.Message(proc.Patience, 0, "/chat", data)
	}
	if took := time.Since(began); took > 2*(n-1)*time.Second {
		t.Errorf("%d messages took %v: the second tab still polls", n, took)
	}
}
