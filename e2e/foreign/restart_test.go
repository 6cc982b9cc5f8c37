//go:build unix

package foreign

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
)

// A balancer in front of a fleet that is not Halley's is restarted twice, and its settings
// are changed before and after, while clients publish to themselves: no client notices, and
// each message comes once.
func TestBalancerRestartsAndReloads(t *testing.T) { each(t, restartsAndReloads) }

func restartsAndReloads(t *testing.T, kind string) {
	t.Helper()
	servers := servers(t, kind, 2)
	urls := []string{servers[0].URL, servers[1].URL}
	c := cloud.New(t)
	const file = "balancer.yaml"
	flags := []string{
		"--config", c.File(file, "watch-config: false\nmax-body: 1MiB\n"), "--listen", unused(t), "--admin", unused(t),
		"--stop-time", "3s", "--handover-socket", filepath.Join(t.TempDir(), "s"),
	}
	b := c.StaticBalancer("balancer", urls, flags...)
	b.Ready()
	all := clients(t, b.URL(), "47", 6)
	if kind == peer.JavaServer {
		all = append(all, javaClients(t, b.URL(), len(all), 2)...)
	}
	stop := make(chan struct{})
	var talking sync.WaitGroup
	chatters := make([]*chatter, len(all))
	for i, c := range all {
		chatters[i] = &chatter{Client: c, channel: fmt.Sprintf("/self/%d", i)}
		every := often
		if i%2 > 0 {
			// Its poll is held still when the balancer lets go of it, and a server that takes no
			// notice has something for it soon after.
			every = 700*time.Millisecond + time.Duration(i)*20*time.Millisecond
		}
		talking.Go(func() { chatters[i].chat(stop, every) })
	}
	// heard waits until each client hears itself again.
	heard := func() {
		before := make([]int, len(all))
		for i, c := range all {
			before[i] = c.Times("message")
		}
		for i, c := range all {
			proc.Until(t, proc.Patience, c.Name+" hears itself", func() error {
				if n := c.Times("message"); n == before[i] {
					return fmt.Errorf("still %d messages", n)
				}
				return nil
			})
		}
	}
	reload := func(settings string) {
		c.File(file, "watch-config: false\n"+settings)
		b.Signal(syscall.SIGHUP)
		proc.Until(t, proc.Patience, "the settings are in force", func() error {
			if b.Counter("halley_config_reloads_total", `result="applied"`) == 0 {
				return errors.New("not yet")
			}
			return nil
		})
		heard()
	}
	heard()
	reload("max-body: 64KiB\nhandshake-rate: 100\n")
	for range 2 {
		old := b
		b = c.StaticBalancer("balancer", urls, flags...)
		if code := old.Wait(proc.Patience); code != 0 {
			t.Errorf("the old one ended with %d", code)
		}
		heard()
	}
	reload("max-body: 128KiB\nretry-max: 3s\n")
	close(stop)
	talking.Wait()
	for _, c := range chatters {
		refused, dropped, missed := c.check(t)
		if n := c.Times("handshake"); n != 1 || refused+dropped+missed > 0 {
			t.Errorf("%s: of %d publishes %d were refused, %d dropped, %d missed; %d handshakes", c.Name, c.n, refused, dropped, missed, n)
		}
		t.Logf("%s: %d publishes", c.Name, c.n)
	}
}

// unused is an address that nobody listens on.
func unused(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
