package browser

import (
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
	"github.com/halleycomet/halley/internal/testenv"
)

// A page of another origin, whose browser sends no cookie along, is with its comet by the
// clientId alone. When that is killed the page may read the balancer's own answer to the
// poll that was held, and has a session elsewhere at once.
func TestKillUnderACrossOriginPageBound(t *testing.T) {
	b := peer.StartBrowser(t)
	for _, kind := range []struct {
		peer.Options
		limit time.Duration // of a new session
	}{
		{peer.Options{Project: "node9", Transport: peer.LongPolling, Page: elsewhere}, 500 * time.Millisecond},
		{peer.Options{Project: "node9", Transport: peer.CallbackPolling, Page: elsewhere}, 500 * time.Millisecond},
		{peer.Options{Project: "node9", Transport: peer.WebSocket, Page: elsewhere}, 1500 * time.Millisecond},
	} {
		t.Run(kind.Name(), func(t *testing.T) {
			c := cloud.New(t)
			flags := []string{"--origins", elsewhere}
			comets := []*cloud.Comet{c.Comet("comet-1", flags...), c.Comet("comet-2", flags...)}
			c.Linked(comets...)
			front := c.Balancer("balancer", flags...)
			front.Covers(comets...)

			o := kind.Options
			o.URL = front.URL()
			page := b.Open(t, o)
			page.Subscribe("/chat")
			page.Connected(proc.Patience, 0)
			page.Subscribed(proc.Patience, 0, "/chat")
			first := page.Handshaken(proc.Patience, 0)
			dead, alive := comets[0], comets[1]
			if !dead.Holds(first.ClientID) {
				dead, alive = alive, dead
			}
			talker := wire.New(t, alive.URL())
			talker.MustHandshake()
			talker.MustPublish("/chat", `"before"`)
			page.Message(proc.Patience, 0, "/chat", `"before"`)

			mark := page.Mark()
			killed := time.Now()
			dead.Kill()
			again := page.Handshaken(proc.Patience, mark)
			took := time.UnixMilli(again.At).Sub(killed)
			t.Logf("a new session after %v", took.Round(time.Millisecond))
			if limit := testenv.Bound(kind.limit); took > limit {
				t.Errorf("a new session after %v, want %v", took, limit)
			}
			page.Subscribed(proc.Patience, mark, "/chat")
			talker.MustPublish("/chat", `"after"`)
			page.Message(proc.Patience, mark, "/chat", `"after"`)
			if got := page.Transport(); got != o.Transport {
				t.Errorf("it uses %s now", got)
			}
			if n := page.Times("handshake"); n != 2 {
				t.Errorf("%d handshakes, want 2", n)
			}
		})
	}
}
