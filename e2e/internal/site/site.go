package site

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// Site is a balancer with comets behind it, each on an address of its own.
type Site interface {
	// URL is the balancer's Bayeux URL.
	URL() string
	// Comets are the Bayeux URLs of the comets that run now, by name.
	Comets() map[string]string
	// Kill ends a comet at once: nobody is told.
	Kill(comet string)
	// Scale starts comets until n run.
	Scale(n int)
}

// patience is for what waits on the gossip of fresh programs.
const patience = time.Minute

const room = "/chat/room"

// MainJob drives the whole scenario. The site has at least two comets.
func MainJob(t *testing.T, s Site) {
	t.Helper()
	proc.Until(t, patience, "a handshake through the balancer", func() error {
		return handshake(wire.New(t, s.URL()))
	})

	a, b := apart(t, s)
	chat(t, "at first", a, b)

	dead, err := owner(t, s, a.Client)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("kill %s", dead)
	s.Kill(dead)
	proc.Until(t, patience, "the client of the killed comet is told", func() error {
		if len(a.Failures()) == 0 {
			return fmt.Errorf("its connect is still held")
		}
		return nil
	})
	if said := a.Failures()[0]; !strings.HasPrefix(said, "402:") {
		t.Errorf("the client of the killed comet was told %q, want 402 in Bayeux", said)
	}
	a.Close()
	a = join(t, s, "a, on another comet", func(comet string) bool { return comet != dead })
	chat(t, "after the kill", a, b)

	old := s.Comets()
	s.Scale(5)
	if n := len(s.Comets()); n != 5 {
		t.Fatalf("%d comets after scaling to 5", n)
	}
	c := join(t, s, "c, on a new comet", func(comet string) bool { _, was := old[comet]; return !was })
	chat(t, "with more comets", a, b, c)

	for _, p := range []*person{a, b, c} {
		if f := p.Failures(); len(f) > 0 {
			t.Errorf("%s was disturbed: %q", p.name, f)
		}
		p.Close()
	}
}

// person is a client in the room.
type person struct {
	*wire.Client
	name string
}

// apart returns two people in the room whom different comets hold.
func apart(t *testing.T, s Site) (a, b *person) {
	t.Helper()
	a = join(t, s, "a", func(string) bool { return true })
	home, err := owner(t, s, a.Client)
	if err != nil {
		t.Fatal(err)
	}
	return a, join(t, s, "b", func(comet string) bool { return comet != home })
}

// join handshakes until a comet that will do holds the client, and enters the room.
func join(t *testing.T, s Site, name string, will func(comet string) bool) *person {
	t.Helper()
	var c *wire.Client
	proc.Until(t, patience, "a place for "+name, func() error {
		c = wire.New(t, s.URL())
		if err := handshake(c); err != nil {
			return err
		}
		comet, err := owner(t, s, c)
		if err == nil && will(comet) {
			t.Logf("%s is on %s", name, comet)
			return nil
		}
		_, gone := c.Disconnect()
		c.Close()
		if err == nil {
			err = fmt.Errorf("the balancer gave %s", comet)
		}
		return errors.Join(err, gone)
	})
	c.MustSubscribe(room)
	c.Listen()
	return &person{Client: c, name: name}
}

func handshake(c *wire.Client) error {
	reply, err := c.Handshake()
	if err == nil && !reply.Successful {
		err = fmt.Errorf("handshake: %s", reply.Error)
	}
	return err
}

// owner asks every comet, at its own address, whether it knows the client: all but
// one answer 402. The question changes nothing. A comet that has just been started
// may not listen yet; that is an error too.
func owner(t *testing.T, s Site, c *wire.Client) (string, error) {
	t.Helper()
	var owners []string
	for name, url := range s.Comets() {
		asker := wire.New(t, url)
		ctx, cancel := context.WithTimeout(context.Background(), proc.Patience)
		a, err := asker.Post(ctx, fmt.Sprintf(`[{"channel":"/meta/unsubscribe","id":"q","clientId":%q,"subscription":"/not/subscribed"}]`, c.ClientID))
		cancel()
		asker.Close()
		if err != nil {
			return "", fmt.Errorf("ask %s: %w", name, err)
		}
		reply, err := wire.By(a.Messages, "q")
		if err != nil {
			return "", fmt.Errorf("ask %s: %w", name, err)
		}
		if !strings.HasPrefix(reply.Error, "402:") {
			owners = append(owners, name)
		}
	}
	if len(owners) != 1 {
		return "", fmt.Errorf("client %s is known to %q, want one comet", c.ClientID, owners)
	}
	return owners[0], nil
}

// chat lets everybody say something and asserts that everybody hears it once. What
// is said before all comets are linked may be missed, so a word goes around first
// until all have heard all.
func chat(t *testing.T, when string, people ...*person) {
	t.Helper()
	hello := func(p *person) string { return fmt.Sprintf("%q", p.name+" says hello "+when) }
	round := 0
	heard := map[string]bool{}
	proc.Until(t, patience, "a word of everybody reaches everybody", func() error {
		round++
		for _, from := range people {
			from.MustPublish(room, hello(from))
		}
		missing := ""
		for _, from := range people {
			for _, to := range people {
				pair := from.name + " to " + to.name
				if heard[pair] = heard[pair] || to.Count(room, hello(from)) > 0; !heard[pair] {
					missing += "; " + pair
				}
			}
		}
		if missing != "" {
			return fmt.Errorf("after %d rounds not%s", round, missing)
		}
		return nil
	})

	var said []string
	for i := range 10 {
		for _, from := range people {
			line := fmt.Sprintf("%q", fmt.Sprintf("line %d of %s %s", i, from.name, when))
			from.MustPublish(room, line)
			said = append(said, line)
		}
	}
	for _, to := range people {
		for _, line := range said {
			to.Await(patience, room, line)
		}
	}
	// Everything has come: a second copy of anything but the last lines would have too.
	for _, to := range people {
		for _, line := range said {
			if n := to.Count(room, line); n != 1 {
				t.Errorf("%s heard %s %d times", to.name, line, n)
			}
		}
	}
}
