package cloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// NoChecks are flags of a balancer that checks each comet once, at its start. A
// check of a comet that is not ours is a connect of a session that it does not
// have, and would be counted with the 402s of clients.
var NoChecks = []string{"--check-interval", "10m"}

// Balancer is a running cmd/balancer.
type Balancer struct {
	*proc.Process
	cloud  *Cloud
	Listen string
	Admin  string
	Gossip string
}

// Balancer starts a balancer that gossips with the members so far, and waits
// until it lets a client in.
func (c *Cloud) Balancer(name string, args ...string) *Balancer {
	c.tb.Helper()
	return c.joined(c.balancer(name, c.gossiping(name, args)))
}

// ActivatedBalancer is Balancer as a supervisor starts it, on a socket that it holds
// itself and that outlives the process.
func (c *Cloud) ActivatedBalancer(name string, socket *os.File, args ...string) *Balancer {
	c.tb.Helper()
	// LISTEN_PID must be the id of the process, which only a shell knows before it is
	// that process.
	p, ports := c.run(proc.Spec{
		Name: name, Path: "sh", Files: []*os.File{socket}, Env: []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=listen"},
		Args: append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, proc.Program(c.tb, "balancer"), "serve"}, c.gossiping(name, args)...),
	})
	return c.joined(c.of(p, ports))
}

// gossiping are the flags of one that gossips with the members so far.
func (c *Cloud) gossiping(name string, args []string) []string {
	return defaults(args,
		"--listen", "127.0.0.1:0",
		"--admin", "127.0.0.1:0",
		"--gossip", "127.0.0.1:0",
		"--join", strings.Join(c.Seeds, ","),
		"--path", Path,
		"--name", name,
	)
}

// joined is one that is a member now, and has let a client in.
func (c *Cloud) joined(b *Balancer) *Balancer {
	c.tb.Helper()
	c.Seeds = append(c.Seeds, b.Gossip)
	b.Ready()
	return b
}

// StaticBalancer starts a balancer in front of a fixed list, without gossip.
func (c *Cloud) StaticBalancer(name string, comets []string, args ...string) *Balancer {
	c.tb.Helper()
	args = defaults(args,
		"--listen", "127.0.0.1:0",
		"--admin", "127.0.0.1:0",
		"--comets", strings.Join(comets, ","),
		"--path", Path,
	)
	return c.balancer(name, args)
}

func (c *Cloud) balancer(name string, args []string) *Balancer {
	c.tb.Helper()
	return c.of(c.start("balancer", name, append([]string{"serve"}, args...)))
}

func (c *Cloud) of(p *proc.Process, ports map[string]string) *Balancer {
	return &Balancer{Process: p, cloud: c, Listen: ports["listen"], Admin: ports["admin"], Gossip: ports["gossip"]}
}

// URL is the Bayeux URL that clients are given.
func (b *Balancer) URL() string { return "http://" + b.Listen + Path }

// Ready waits until a handshake through the balancer succeeds.
func (b *Balancer) Ready() {
	b.cloud.tb.Helper()
	w := wire.New(b.cloud.tb, b.URL())
	proc.Until(b.cloud.tb, proc.Patience, b.Name+" lets a client in", func() error {
		reply, err := w.Handshake()
		if err != nil {
			return err
		}
		if !reply.Successful {
			return fmt.Errorf("handshake answered %s", reply.Error)
		}
		return nil
	})
	w.Close()
}

// Covers waits until handshakes through the balancer have reached every one of
// the comets, so that it is known to see them all.
func (b *Balancer) Covers(comets ...*Comet) {
	b.cloud.tb.Helper()
	before := map[*Comet]float64{}
	for _, m := range comets {
		before[m] = m.Handshakes()
	}
	proc.Until(b.cloud.tb, proc.Patience, b.Name+" uses every comet", func() error {
		w := wire.New(b.cloud.tb, b.URL())
		defer w.Close()
		if _, err := w.Handshake(); err != nil {
			return err
		}
		var errs []error
		for _, m := range comets {
			if m.Handshakes() == before[m] {
				errs = append(errs, fmt.Errorf("no handshake at %s yet", m.Name))
			}
		}
		return errors.Join(errs...)
	})
}

// Takes waits until the balancer sends new sessions to a comet, by its name.
func (b *Balancer) Takes(comet string) {
	b.cloud.tb.Helper()
	proc.Until(b.cloud.tb, proc.Patience, comet+" takes sessions", func() error {
		res, err := http.Get("http://" + b.Admin + "/comets")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		var comets []struct{ Name, State string }
		if err := json.NewDecoder(res.Body).Decode(&comets); err != nil {
			return err
		}
		for _, c := range comets {
			if c.Name == comet && c.State == "healthy" {
				return nil
			}
		}
		return fmt.Errorf("%+v", comets)
	})
}
