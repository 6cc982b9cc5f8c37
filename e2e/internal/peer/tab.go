package peer

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/proc"
)

// Browser is Chromium, and the program that drives its tabs.
type Browser struct {
	proc *proc.Process

	mu   sync.Mutex
	tabs map[string]*Client // guarded by mu
}

// StartBrowser starts one for all clients of a test.
func StartBrowser(tb testing.TB) *Browser {
	tb.Helper()
	b := &Browser{tabs: map[string]*Client{}}
	b.proc = browse(tb, "tabs.mjs", b.line)
	return b
}

// Open starts a client in a tab of its own, whose page has the origin of the URL, or the one
// in the options.
func (b *Browser) Open(tb testing.TB, o Options) *Client {
	tb.Helper()
	dir(tb, o.Project)
	c := &Client{Name: o.Name(), tb: tb}
	b.mu.Lock()
	id := fmt.Sprintf("%d %s", len(b.tabs)+1, c.Name)
	b.tabs[id] = c
	b.mu.Unlock()
	c.send = func(line string) error {
		var command map[string]any
		if err := json.Unmarshal([]byte(line), &command); err != nil {
			return err
		}
		command["tab"] = id
		text, err := json.Marshal(command)
		if err != nil {
			return err
		}
		return b.proc.Send(string(text))
	}
	c.strict(tb, c.Name)
	tb.Cleanup(func() {
		c.tell(map[string]any{"cmd": "close"})
		for _, e := range c.All() {
			if e.Event == "pageerror" {
				tb.Errorf("the page of %s: %s", c.Name, e.Error)
			}
		}
	})
	c.tell(map[string]any{"cmd": "open", "library": o.Project, "url": o.URL, "transport": o.Transport,
		"ack": o.Ack, "page": o.Page, "jar": o.Jar, "reload": o.Reload})
	return c
}

// Leave makes a tab leave its page, with the session kept for the next one.
func (c *Client) Leave() {
	c.tb.Helper()
	mark := c.Mark()
	c.tell(map[string]any{"cmd": "leave"})
	c.await(c.tb, proc.Patience, mark, c.Name+" has left its page", func(e Event) bool { return e.Event == "left" })
}

// Return brings the page back, which subscribes to channels.
func (c *Client) Return(channels ...string) {
	c.tb.Helper()
	c.tell(map[string]any{"cmd": "return", "channels": channels})
}

// line gives an event to the client of its tab.
func (b *Browser) line(text string) {
	var to struct{ Tab string }
	json.Unmarshal([]byte(text), &to)
	b.mu.Lock()
	c := b.tabs[to.Tab]
	b.mu.Unlock()
	if c != nil {
		c.line(text)
	}
}
