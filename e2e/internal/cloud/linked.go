package cloud

import (
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
		// Or a comet that drains would wait for it, since messages do.
		if _, err := w.Disconnect(); err != nil {
			c.tb.Errorf("disconnect: %v", err)
		}
		w.Close()
	}
}
