package e2e

import (
	"fmt"
	"net"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
	"github.com/halleycomet/halley/internal/dnstest"
)

// address is an A record, service an SRV record.
func address(name string, m *cloud.Comet) string {
	host, _, _ := net.SplitHostPort(m.Listen)
	return fmt.Sprintf("%s 0 IN A %s", name, host)
}

func service(name, target string, m *cloud.Comet) string {
	_, port, _ := net.SplitHostPort(m.Listen)
	return fmt.Sprintf("%s 0 IN SRV 10 5 %s %s", name, port, target)
}

// Comets are found by the addresses of a name, by SRV records, and by a static entry,
// all at once. The records change under load: what comes gets new sessions, the clients
// of what goes are moved, no request fails. What two records name is one comet.
func TestNamesChangeUnderLoad(t *testing.T) {
	c := cloud.New(t)
	z := dnstest.NewServer(t)
	_, port, _ := net.SplitHostPort(freePort(t))
	comet := func(name, listen string) *cloud.Comet { return c.Comet(name, "--timeout", "2s", "--listen", listen) }
	// Addresses of one name have one port.
	one, two := comet("comet-1", "127.0.70.1:"+port), comet("comet-2", "127.0.70.2:"+port)
	three, four := comet("comet-3", "127.0.70.3:0"), comet("comet-4", "127.0.70.4:0")
	c.Linked(one, two, three, four)

	const name, srv, target, second = "comets.example.", "_cometd._tcp.example.", "three.example.", "two.example."
	z.Has(t, address(name, one), service(srv, target, three), address(target, three))
	b := c.StaticBalancer("balancer", []string{"dns://comets.example:" + port, "srv://_cometd._tcp.example", listed(four)},
		"--dns-server", z.Addr, "--dns-interval", "200ms", "--place", "ip", "--drain-time", "6s")
	for _, m := range []*cloud.Comet{one, three, four} {
		b.Takes(listed(m))
	}
	crowd := visitedCrowd(t, b, "69", four)

	z.Has(t, address(name, one), address(name, two), service(srv, target, three), address(target, three))
	b.Takes(listed(two))
	gets(t, b, "69", two)
	if n := crowd.moves(); n != 0 {
		t.Errorf("%d clients lost their sessions to a comet that came", n)
	}
	// Now the service is at a comet that the name has already.
	z.Has(t, address(name, two), service(srv, second, two), address(second, two))
	crowd.leaves(tagOf(t, one))
	crowd.leaves(tagOf(t, three))
	s := states(t, b)
	if s[listed(two)] != "healthy" || s[listed(four)] != "healthy" {
		t.Errorf("%v", s)
	}
	for _, m := range []*cloud.Comet{one, three} {
		if state := s[listed(m)]; state != "draining" && state != "" {
			t.Errorf("%s, which no record names any more, is %s", m.Name, state)
		}
	}
	// No answer changes nothing.
	failed := b.Counter("halley_balancer_lookups_total", `result="empty"`) + b.Counter("halley_balancer_lookups_total", `result="failed"`)
	z.Has(t)
	proc.Until(t, proc.Patience, "names without records are asked for", func() error {
		if n := b.Counter("halley_balancer_lookups_total", `result="empty"`) + b.Counter("halley_balancer_lookups_total", `result="failed"`); n < failed+6 {
			return fmt.Errorf("%v times", n-failed)
		}
		return nil
	})
	if s := states(t, b); s[listed(two)] != "healthy" {
		t.Errorf("with no records at all: %v", s)
	}
	crowd.end()
}

// A comet that gossips and is listed, too, is one comet, under the name in its gossip.
func TestGossipAndListAgree(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(2)
	b := c.Balancer("balancer", "--comets", listed(comets[0])+" weight=3,"+listed(comets[1]))
	b.Covers(comets...)
	if s := states(t, b); len(s) != 2 || s["comet-1"] != "healthy" || s["comet-2"] != "healthy" {
		t.Errorf("the comets are %v", s)
	}
	// They are known by what the gossip says: cookieless clients are kept by clientId. A
	// check from before that may have counted as an unknown session.
	before := unknown(comets)
	for i := range 8 {
		w := wire.NewFrom(t, b.URL(), fmt.Sprintf("127.0.71.%d", i+1))
		w.MustHandshake()
		other := wire.NewFrom(t, b.URL(), fmt.Sprintf("127.0.71.%d", i+101))
		other.ClientID = w.ClientID
		other.MustConnect()
	}
	if n := unknown(comets) - before; n != 0 {
		t.Errorf("%v requests at the wrong comet", n)
	}
}

// freePort is an address of this machine at which nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
