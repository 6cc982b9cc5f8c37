package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
	"github.com/halleycomet/halley/internal/testenv"
)

// visitedCrowd is a crowd with visitors that hears numbers of a comet.
func visitedCrowd(t *testing.T, b *cloud.Balancer, net string, at *cloud.Comet) *crowd {
	t.Helper()
	c := newCrowd(t, b, net, max(testenv.Clients(12), 6))
	c.visited(2, wholeVisit)
	c.hears(at, 50)
	return c
}

// listed is how a list names a comet, and what the balancer calls it.
func listed(m *cloud.Comet) string { return "http://" + m.Listen }

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
	crowd := visitedCrowd(t, b, "68", two)

	write(listed(one), listed(two), listed(three)+" weight=2")
	b.Takes(listed(three))
	gets(t, b, "68", three)
	if n := crowd.moves(); n != 0 {
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
	if n := crowd.moves(); n != there || there == 0 && !testenv.Race {
		t.Errorf("%d clients moved; %d were at the comet that was removed", n, there)
	}
}
