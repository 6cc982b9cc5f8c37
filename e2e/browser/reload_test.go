package browser

import (
	"strings"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// With CometD's reload extension a page that is loaded again goes on with its session, on new connections: no
// handshake, and what was published meanwhile arrives, with acknowledgements also what the comet wrote before it
// knew that the old page was gone.
func TestReload(t *testing.T) {
	b := peer.StartBrowser(t)
	for _, o := range []peer.Options{
		{Project: "node9", Transport: peer.WebSocket},
		{Project: "node9", Transport: peer.LongPolling},
		{Project: "node5", Transport: peer.CallbackPolling},
	} {
		t.Run(o.Name(), func(t *testing.T) {
			m := cloud.New(t).Comet("comet-1")
			o.URL, o.Reload, o.Ack = m.URL(), true, true
			c := b.Open(t, o)
			c.Subscribe("/chat")
			c.Connected(proc.Patience, 0)
			c.Subscribed(proc.Patience, 0, "/chat")
			other := wire.New(t, m.URL())
			other.MustHandshake()

			c.Leave()
			other.MustPublish("/chat", `"meanwhile"`)
			mark := c.Mark()
			c.Return("/chat")
			if e := c.Handshaken(proc.Patience, mark); !strings.Contains(string(e.Ext), `"reload":true`) {
				t.Errorf("handshake with ext %s, want that of a replayed one", e.Ext)
			}
			c.Message(proc.Patience, mark, "/chat", `"meanwhile"`)
			other.MustPublish("/chat", `"after"`)
			c.Message(proc.Patience, mark, "/chat", `"after"`)
			if n := c.Copies("/chat", `"meanwhile"`) + c.Copies("/chat", `"after"`); n != 2 {
				t.Errorf("%d messages, want 2", n)
			}
			if n := m.Handshakes(); n != 2 {
				t.Errorf("%v handshakes, want the page's first and ours", n)
			}
			if got := c.Transport(); got != o.Transport {
				t.Errorf("it uses %s now", got)
			}
		})
	}
}
