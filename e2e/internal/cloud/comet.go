package cloud

import (
	"fmt"
	"strings"

	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// Comet is a running cmd/comet.
type Comet struct {
	*proc.Process
	cloud  *Cloud
	Listen string
	Admin  string
	Gossip string
}

// Comet starts a comet under a name, joined to the members so far. Flags in args
// go before the defaults.
func (c *Cloud) Comet(name string, args ...string) *Comet {
	c.tb.Helper()
	args = defaults(args,
		"--name", name,
		"--listen", "127.0.0.1:0",
		"--admin", "127.0.0.1:0",
		"--gossip", "127.0.0.1:0",
		"--join", strings.Join(c.Seeds, ","),
		"--path", Path,
	)
	p, ports := c.start("comet", name, append([]string{"serve"}, args...))
	m := &Comet{Process: p, cloud: c, Listen: ports["listen"], Admin: ports["admin"], Gossip: ports["gossip"]}
	c.Seeds = append(c.Seeds, m.Gossip)
	return m
}

// Comets starts n comets, named comet-1 and so on, and waits until each of them
// carries a message to each other.
func (c *Cloud) Comets(n int) []*Comet {
	c.tb.Helper()
	var all []*Comet
	for i := range n {
		all = append(all, c.Comet(fmt.Sprintf("comet-%d", i+1)))
	}
	c.Linked(all...)
	return all
}

// URL is the comet's own Bayeux URL.
func (m *Comet) URL() string { return "http://" + m.Listen + Path }

// Holds tells whether the comet has a session.
func (m *Comet) Holds(clientID string) bool {
	w := wire.New(m.cloud.tb, m.URL())
	defer w.Close()
	w.ClientID = clientID
	reply, err := w.Publish("/probe", "1")
	return err == nil && reply.Successful
}
