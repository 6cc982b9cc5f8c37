package foreign

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/testenv"
)

// chatter is a client that publishes to itself all the time: what its server took must
// come back to it, since it was queued for it.
type chatter struct {
	*peer.Client
	channel string
	n       int
}

// often is how often a chatter publishes, as a rule.
const often = 50 * time.Millisecond

// chat publishes now and then until stop.
func (c *chatter) chat(stop <-chan struct{}, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		c.Publish(c.channel, fmt.Sprint(c.n), fmt.Sprint(c.n))
		c.n++
	}
}

// check waits until what its server took has come back, once. A publish without a session
// (402) was not taken; one that waits for a connection when the client moves is dropped by
// the client itself, without a word; one that was taken while it moved, at a server that
// it had left or where it had not subscribed yet, does not come back. Nothing else may go
// wrong.
func (c *chatter) check(t *testing.T) (refused, dropped, missed int) {
	t.Helper()
	c.Publish(c.channel, fmt.Sprint(c.n), fmt.Sprint(c.n))
	c.Message(proc.Patience, 0, c.channel, fmt.Sprint(c.n))
	for n := range c.n {
		e, ok := c.Outcome(fmt.Sprint(n))
		copies := c.Copies(c.channel, fmt.Sprint(n))
		switch {
		case !ok:
			dropped++
		case !e.OK:
			refused++
			if !strings.HasPrefix(e.Error, "402:") {
				t.Errorf("%s: publish %d: %s", c.Name, n, e.Error)
			}
		case copies == 0 && c.moved(e.At):
			missed++
		case copies != 1:
			t.Errorf("%s: publish %d, which was taken at %d, came %d times", c.Name, n, e.At, copies)
		}
	}
	return refused, dropped, missed
}

// moved tells whether the client was between two servers when it was told that a publish
// was taken, in milliseconds: from shortly before a handshake, when it was told to, to
// shortly after the subscription that follows it: that and a publish go by connections of
// their own, and one that overtook it may be answered later.
func (c *chatter) moved(at int64) bool {
	told, overtook := testenv.Bound(250*time.Millisecond).Milliseconds(), testenv.Bound(100*time.Millisecond).Milliseconds()
	from := int64(0)
	for _, e := range c.All() {
		switch {
		case e.Event == "handshake":
			from = e.At - told
		case e.Event == "subscribed" && from > 0:
			if from <= at && at <= e.At+overtook {
				return true
			}
			from = 0
		}
	}
	return false
}

// A fleet that knows nothing of it is restarted server by server, with its clients moved
// by the balancer. No request fails, and nothing that was queued for a session is lost.
func TestRollingRestart(t *testing.T) { each(t, rollingRestart) }

func rollingRestart(t *testing.T, kind string) {
	t.Helper()
	servers := servers(t, kind, 3, "--timeout", "2000")
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.URL)
	}
	c := cloud.New(t)
	b := c.StaticBalancer("balancer", urls, "--drain-time", "20s")
	b.Ready()
	all := clients(t, b.URL(), "45", 6)
	if kind == peer.JavaServer {
		all = append(all, javaClients(t, b.URL(), len(all), 2)...)
	}
	stop := make(chan struct{})
	var talking sync.WaitGroup
	chatters := make([]*chatter, len(all))
	for i, c := range all {
		chatters[i] = &chatter{Client: c, channel: fmt.Sprintf("/self/%d", i)}
		talking.Go(func() { chatters[i].chat(stop, often) })
	}
	for i, s := range servers {
		began := time.Now()
		drain(t, b, "drain", s.URL, "--wait")
		t.Logf("%s was empty after %v", s.Name, time.Since(began).Round(time.Millisecond))
		s.Kill() // nobody is there
		servers[i] = peer.StartServer(t, kind, s.Name, strings.TrimPrefix(s.URL, "http://"))
		drain(t, b, "undrain", s.URL)
		b.Takes(s.URL)
	}
	close(stop)
	talking.Wait()
	moves := 0
	for _, c := range chatters {
		refused, dropped, missed := c.check(t)
		moved := c.Times("handshake") - 1
		if moves += moved; missed > 10*moved {
			t.Errorf("%s: %d publishes were missed in %d moves", c.Name, missed, moved)
		}
		t.Logf("%s: %d publishes, of which %d were refused, %d dropped and %d missed while it moved; %d handshakes",
			c.Name, c.n, refused, dropped, missed, c.Times("handshake"))
	}
	if moves < len(all) {
		t.Errorf("%d clients moved %d times", len(all), moves)
	}
}

// drain runs a command against the balancer's admin.
func drain(t *testing.T, b *cloud.Balancer, command, comet string, flags ...string) {
	t.Helper()
	p := proc.Start(t, proc.Spec{
		Name: command, Path: proc.Program(t, "balancer"),
		Args: append(append([]string{command}, flags...), "--admin", b.Admin, comet),
	})
	if status := p.Wait(proc.Patience); status != 0 {
		t.Fatalf("%s %s: status %d: %s", command, comet, status, p.Log())
	}
}
