package foreign

import (
	"fmt"
	"testing"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/cut"
	"github.com/halleycomet/halley/e2e/internal/peer"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// session is a client with a cookie, as a browser has it, that may come by way of
// any balancer and from any address.
type session struct{ clientID, cookie string }

// connect goes on with the session, from one of several addresses.
func (s session) connect(t *testing.T, url string, from int) {
	t.Helper()
	w := wire.NewFrom(t, url, fmt.Sprintf("127.0.39.%d", from+1))
	defer w.Close()
	w.ClientID, w.Cookie = s.clientID, s.cookie
	w.MustConnect()
}

// another starts one more balancer in front of the same servers. Its checks, one
// for each server and answered 402, are over when it returns.
func another(t *testing.T, servers []*peer.Server, flags ...string) *cloud.Balancer {
	t.Helper()
	before := counters(servers)
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.URL)
	}
	b := cloud.New(t).StaticBalancer("balancer", urls, append(flags, cloud.NoChecks...)...)
	b.Ready()
	proc.Until(t, proc.Patience, "the balancer has checked every server", func() error {
		for i, s := range servers {
			if s.Counters().Unknown == before[i].Unknown {
				return fmt.Errorf("%s was not checked", s.Name)
			}
		}
		return nil
	})
	return b
}

// Two balancers in front of one fleet share nothing and send the same browser to
// the same server, by its cookie; one of them stops, and all go on by the other; it
// comes back, and knows them.
func TestTwoBalancersAgree(t *testing.T) { each(t, twoBalancersAgree) }

func twoBalancersAgree(t *testing.T, kind string) {
	t.Helper()
	servers := servers(t, kind, 3)
	b1, b2 := another(t, servers), another(t, servers)
	before := counters(servers)
	var all []session
	for i := range 12 {
		// Every other one begins at the other balancer.
		url := []string{b1.URL(), b2.URL()}[i%2]
		id, cookie := handshake(t, wire.New(t, url))
		all = append(all, session{id, cookie})
	}
	for round := range 3 {
		for _, s := range all {
			s.connect(t, b1.URL(), 2*round)
			s.connect(t, b2.URL(), 2*round+1)
		}
	}
	kept := func(when string) {
		t.Helper()
		made, used, unknown := tally(servers, before)
		if made != len(all) || used < 2 || unknown != 0 {
			t.Errorf("%s: %d handshakes by %d clients at %d servers, %d answers 402", when, made, len(all), used, unknown)
		}
	}
	kept("with two balancers")

	if code := b1.Stop(proc.Patience); code != 0 {
		t.Errorf("exit status %d", code)
	}
	for i, s := range all {
		s.connect(t, b2.URL(), i)
	}
	kept("with one stopped")

	again := another(t, servers, "--listen", b1.Listen)
	before = counters(servers)
	for i, s := range all {
		s.connect(t, again.URL(), i)
		s.connect(t, b2.URL(), i)
	}
	if made, _, unknown := tally(servers, before); made != 0 || unknown != 0 {
		t.Errorf("by the balancer that came back: %d handshakes, %d answers 402", made, unknown)
	}
}

// One address before two balancers, as a router or a floating address has it: one of them
// is killed, and its clients go on by the other with the sessions that they have.
func TestKilledBalancer(t *testing.T) { each(t, killedBalancer) }

func killedBalancer(t *testing.T, kind string) {
	t.Helper()
	servers := servers(t, kind, 3)
	b1, b2 := another(t, servers), another(t, servers)
	before := counters(servers)
	address := cut.New(t, b1.Listen)
	all := clients(t, "http://"+address.Addr()+cloud.Path, "44", 6)
	if kind == peer.JavaServer {
		all = append(all, javaClients(t, "http://"+address.Addr()+cloud.Path, len(all), 2)...)
	}
	talk(t, all, "before")
	address.Retarget(b2.Listen)
	b1.Kill()
	for i, c := range all {
		channel, n := fmt.Sprintf("/self/%d", i), 0
		proc.Until(t, proc.Patience, c.Name+" hears itself again", func() error {
			c.Publish(channel, fmt.Sprintf(`"after %d"`, n), fmt.Sprintf("after %d", n))
			n++
			if c.Copies(channel, fmt.Sprintf(`"after %d"`, n-1)) == 0 && c.Copies(channel, `"after 0"`) == 0 {
				return fmt.Errorf("not after %d messages", n)
			}
			return nil
		})
	}
	for _, c := range all {
		if n := c.Times("handshake"); n != 1 {
			t.Errorf("%s made %d handshakes", c.Name, n)
		}
	}
	if made, used, unknown := tally(servers, before); made != len(all) || used < 2 || unknown != 0 {
		t.Errorf("%d handshakes by %d clients at %d servers, %d answers 402", made, len(all), used, unknown)
	}
}
