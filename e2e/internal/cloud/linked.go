package cloud

import (
	"context"
	"fmt"

	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// Linked waits until a message published at each of the comets reaches a
// subscriber at each other. It goes the way that any message goes; no word of the comets is
// trusted for it.
func (c *Cloud) Linked(comets ...*Comet) {
	c.tb.Helper()
	var clients []*wire.Client
	for _, m := range comets {
		w := wire.New(c.tb, m.URL())
		w.MustHandshake()
		w.MustSubscribe("/probe/**")
		w.Listen()
		clients = append(clients, w)
	}
	seen := map[string]bool{}
	round := 0
	proc.Until(c.tb, proc.Patience, "messages go between all comets", func() error {
		round++
		for i, w := range clients {
			w.MustPublish("/probe/x", fmt.Sprintf(`"%d"`, i))
		}
		missing := ""
		for i, w := range clients {
			for _, m := range w.Received() {
				seen[fmt.Sprintf("%d<-%s", i, m.Data)] = true
			}
			for j := range clients {
				if k := fmt.Sprintf(`%d<-"%d"`, i, j); !seen[k] {
					missing += " " + k
				}
			}
		}
		if missing != "" {
			return fmt.Errorf("after %d rounds no message%s", round, missing)
		}
		return nil
	})
	for _, w := range clients {
		w.Close()
		// This takes what waits, or a comet that drains would wait for the session. After
		// a disconnect the connect that Close may leave under way would be counted as one
		// of an unknown session.
		last := wire.New(c.tb, w.URL)
		body := fmt.Sprintf(`[{"channel":"/meta/unsubscribe","id":"1","clientId":%q,"subscription":"/probe/**"}]`, w.ClientID)
		if _, err := last.Post(context.Background(), body); err != nil {
			c.tb.Errorf("unsubscribe: %v", err)
		}
		last.Close()
	}
}
