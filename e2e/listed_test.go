package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
	"github.com/halleycomet/halley/internal/testenv"
)

// crowd is the load under which a list of comets changes: clients that stay and hear
// numbers, and others that come and go.
type crowd struct {
	t         *testing.T
	b         *cloud.Balancer
	clients   []*numbered
	stop      chan struct{}
	load      sync.WaitGroup
	published chan int
	refused   float64
}

// newCrowd comes through a balancer; the numbers are published at a comet.
func newCrowd(t *testing.T, b *cloud.Balancer, net string, at *cloud.Comet) *crowd {
	t.Helper()
	const channel, rate = "/crowd/numbers", 50
	c := &crowd{t: t, b: b, stop: make(chan struct{}), published: make(chan int, 1), refused: b.Refused()}
	for i := range max(testenv.Clients(12), 6) {
		local := fmt.Sprintf("127.0.%s.%d", net, i+1)
		c.clients = append(c.clients, listenNumbered(t, b.URL(), client.WebSocket, local, channel),
			listenNumbered(t, b.URL(), client.LongPolling, local, channel))
	}
	c.subscribed("all have subscribed")
	for i := range 2 {
		c.load.Go(func() {
			n, moved := visits(t, b.URL(), fmt.Sprintf("127.0.%s.%d", net, 100+i), c.stop)
			t.Logf("%d visits, %d of them told to handshake anew", n, moved)
		})
	}
	p := wire.New(t, at.URL())
	p.MustHandshake()
	go func() { c.published <- publishNumbers(t, p, channel, 0, rate, c.stop) }()
	return c
}

func (c *crowd) subscribed(what string) {
	c.t.Helper()
	proc.Until(c.t, proc.Patience, what, func() error {
		if !all(c.clients, (*numbered).subscribed) {
			return errors.New("not all")
		}
		return nil
	})
}

// moved is how often clients have handshaken anew.
func (c *crowd) moved() (n int) {
	for _, k := range c.clients {
		k.note(func() { n += max(len(k.moves)-1, 0) })
	}
	return n
}

// at is how many clients have their session at a comet.
func (c *crowd) at(tag string) (n int) {
	for _, k := range c.clients {
		if k.at(tag) {
			n++
		}
	}
	return n
}

// leaves waits until no client is at a comet any more.
func (c *crowd) leaves(tag string) {
	c.t.Helper()
	proc.Until(c.t, proc.Patience, "all clients have left the comet that is not listed any more", func() error {
		if !all(c.clients, func(n *numbered) bool { return n.subscribed() && !n.at(tag) }) {
			return errors.New("some have not")
		}
		return nil
	})
}

// end ends the load, and wants nothing to have failed, and nothing missed but by a move.
func (c *crowd) end() {
	c.t.Helper()
	close(c.stop)
	c.load.Wait()
	last := <-c.published
	proc.Until(c.t, proc.Patience, "the last message", func() error {
		if !all(c.clients, func(n *numbered) bool { return n.has(last) }) {
			return errors.New("not everywhere")
		}
		return nil
	})
	missed := 0
	for _, n := range c.clients {
		m := n.missed(c.t, last)
		if missed += m; len(n.moves) == 1 && m > 0 {
			c.t.Errorf("%s: a client that did not move missed %d", n.transport, m)
		}
	}
	c.t.Logf("%d messages, %d moves, by which clients missed %d", last, c.moved(), missed)
	if n := c.b.Refused() - c.refused; n != 0 {
		c.t.Errorf("%v requests were refused", n)
	}
}

// listed is how a list names a comet, and what the balancer calls it.
func listed(m *cloud.Comet) string { return "http://" + m.Listen }

// tagOf is what the clientIds of a comet begin with.
func tagOf(t *testing.T, m *cloud.Comet) string {
	t.Helper()
	w := wire.New(t, m.URL())
	defer w.Close()
	return w.MustHandshake().ClientID[:8]
}

// gets waits until new sessions come to a comet.
func gets(t *testing.T, b *cloud.Balancer, net string, m *cloud.Comet) {
	t.Helper()
	before, i := m.Handshakes(), 0
	proc.Until(t, proc.Patience, m.Name+" gets new sessions", func() error {
		w := wire.NewFrom(t, b.URL(), fmt.Sprintf("127.0.%s.%d", net, 200+i%50))
		defer w.Close()
		i++
		if _, err := w.Handshake(); err != nil || m.Handshakes() == before {
			return fmt.Errorf("none after %d handshakes: %v", i, err)
		}
		return nil
	})
}

// states tells the state of each comet that is known, by name.
func states(t *testing.T, b *cloud.Balancer) map[string]string {
	t.Helper()
	comets, err := askAdmin(b, http.MethodGet, "/comets")
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for _, c := range comets {
		if m[c.Name] != "" {
			t.Errorf("%s is there twice", c.Name)
		}
		m[c.Name] = c.State
	}
	return m
}

// The file of comets changes under load. A comet that is added takes nobody's session
// and gets new ones; the clients of one that is removed are moved; no request fails, and
// a file that is wrong changes nothing.
func TestCometsFileChangesUnderLoad(t *testing.T) {
	c := cloud.New(t)
	var comets []*cloud.Comet
	for i := range 3 {
		comets = append(comets, c.Comet(fmt.Sprintf("comet-%d", i+1), "--timeout", "2s"))
	}
	c.Linked(comets...)
	one, two, three := comets[0], comets[1], comets[2]
	file := filepath.Join(t.TempDir(), "comets")
	write := func(lines ...string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("# two of three", listed(one), listed(two))
	b := c.StaticBalancer("balancer", nil, "--comets-file", file, "--place", "ip", "--drain-time", "6s")
	b.Takes(listed(one))
	b.Takes(listed(two))
	crowd := newCrowd(t, b, "68", two)

	write(listed(one), listed(two), listed(three)+" weight=2")
	b.Takes(listed(three))
	gets(t, b, "68", three)
	if n := crowd.moved(); n != 0 {
		t.Errorf("%d clients lost their sessions to a comet that came", n)
	}
	write("htp:/nonsense")
	proc.Until(t, proc.Patience, "a file that is wrong is told of", func() error {
		if b.Counter("halley_balancer_list_reloads_total", `result="failed"`) == 0 {
			return errors.New("it is not")
		}
		return nil
	})
	if s := states(t, b); len(s) != 3 || s[listed(one)] != "healthy" || s[listed(three)] != "healthy" {
		t.Errorf("after a file that is wrong: %v", s)
	}
	tag := tagOf(t, one)
	there := crowd.at(tag)
	write(listed(two), listed(three)+" weight=2")
	crowd.leaves(tag)
	if s := states(t, b)[listed(one)]; s != "draining" && s != "" {
		t.Errorf("the comet that was removed is %s", s)
	}
	crowd.end()
	if n := crowd.moved(); n != there || there == 0 && !testenv.Race {
		t.Errorf("%d clients moved; %d were at the comet that was removed", n, there)
	}
}
