package node

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
)

// The settings of the balancer change under CometD's clients: none of them notices.
func TestSettingsChangeUnderClients(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	const file = "balancer.yaml"
	settings := func(drainTime, more string) string {
		return fmt.Sprintf("watch-config: false\nkeys: [client-id, cookie, ip]\ndrain-time: %s\n%s\n", drainTime, more)
	}
	b := c.Balancer("balancer", "--config", c.File(file, settings("60s", "")))
	b.Covers(comets...)
	all := start(t, b.URL(), "73", "/ticks", clients())
	stop := publisher(t, comets[0], "/ticks")
	for _, p := range all {
		p.Message(proc.Patience, 0, "/ticks", "10")
	}
	for i, change := range []struct{ text, result string }{
		{settings("30s", "max-body: 64KiB"), "applied"},
		{settings("20s", "place: nowhere"), "failed"},
		{settings("10s", "slow-start: 1s\nhandshake-rate: 100\nip-prefix6: 56\ncheck-interval: 200ms"), "applied"},
	} {
		before := b.Counter("halley_config_reloads_total", `result="`+change.result+`"`)
		c.File(file, change.text)
		b.Signal(syscall.SIGHUP)
		proc.Until(t, proc.Patience, fmt.Sprintf("change %d is %s", i+1, change.result), func() error {
			if b.Counter("halley_config_reloads_total", `result="`+change.result+`"`) == before {
				return errNone
			}
			return nil
		})
	}
	last := stop() - 1
	for i, p := range all {
		p.Message(proc.Patience, 0, "/ticks", fmt.Sprint(last))
		copies(t, p)
		heard := map[string]bool{}
		for _, e := range p.All() {
			if e.Event == "message" {
				heard[string(e.Data)] = true
			}
		}
		for n := range last + 1 {
			if !heard[fmt.Sprint(n)] {
				t.Errorf("%s missed %d", p.Name, n)
			}
		}
		if h, broken := p.Times("handshake"), p.Times("broken"); h != 1 || broken != 0 {
			t.Errorf("%s made %d handshakes, %d connects failed: %s", p.Name, h, broken, events(p, 0))
		}
		if got := p.Transport(); got != clients()[i].Transport {
			t.Errorf("%s uses %s now", p.Name, got)
		}
	}
}
