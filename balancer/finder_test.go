package balancer

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/discovery"
	"github.com/halleycomet/halley/internal/dnstest"
	"github.com/halleycomet/halley/internal/tlstest"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// found is a fleet of names that a table answers.
func found(t *testing.T, d *dnstest.Table, g *gossip, listed ...string) (*bench, *observer.ObservedLogs) {
	core, logs := observer.New(zap.InfoLevel)
	b := newBench(t, g, listed...)
	cfg := b.fleet.finderConfig()
	cfg.Resolver, cfg.Log = d, zap.New(core)
	finder, err := discovery.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.fleet.finder = finder
	return b, logs
}

// addrs are the comets that are there, with their states if they are not healthy.
func (b *bench) addrs() string {
	var out []string
	for _, c := range b.fleet.snapshot().comets {
		s := c.Addr
		if !c.is(Healthy) {
			s += " " + c.State().String()
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

// lookups waits until the name comets was asked for n times more.
func (b *bench) lookups(d *dnstest.Table, n int) {
	for until := d.Asks("comets") + n; d.Asks("comets") < until; {
		b.after(100 * time.Millisecond)
	}
}

func (b *bench) wantAddrs(what, want string) {
	b.t.Helper()
	if got := b.addrs(); got != want {
		b.t.Errorf("%s: %s; want %s", what, got, want)
	}
}

// A name is asked for at the interval. What is new counts at once, what is missing when
// it is missing twice; then it is drained, and goes once nothing was under way to it
// for a while. What comes back while it drains is as before.
func TestNameIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dnstest.NewTable(map[string][]string{"comets": {"10.0.0.1", "10.0.0.2"}}, nil)
		b, _ := found(t, d, nil, "dns://comets:81 weight=3")
		b.run()
		b.wantAddrs("first answer", "10.0.0.1:81, 10.0.0.2:81")
		if s := b.fleet.status()[0]; s.Weight != 3 || s.Name != "http://10.0.0.1:81" || !b.fleet.snapshot().ready {
			t.Errorf("%+v", s)
		}
		n := d.Asks("comets")
		b.after(50 * time.Second)
		if n = d.Asks("comets") - n; n < 8 || n > 12 { // every 5 s, give or take a tenth
			t.Errorf("asked %d times in 50 s", n)
		}

		d.Set("comets", "10.0.0.1", "10.0.0.3")
		b.lookups(d, 1)
		b.wantAddrs("new and missing", "10.0.0.1:81, 10.0.0.2:81, 10.0.0.3:81")
		two := b.comet("10.0.0.2:81")
		two.load.begin()
		b.lookups(d, 1)
		b.wantAddrs("missing twice", "10.0.0.1:81, 10.0.0.2:81 draining, 10.0.0.3:81")
		d.Set("comets", "10.0.0.1", "10.0.0.2", "10.0.0.3")
		b.lookups(d, 1)
		b.wantAddrs("back", "10.0.0.1:81, 10.0.0.2:81, 10.0.0.3:81")
		if b.comet("10.0.0.2:81") != two {
			t.Error("it came back as another comet")
		}

		d.Set("comets", "10.0.0.1", "10.0.0.3")
		b.lookups(d, 2)
		b.wantAddrs("missing for good", "10.0.0.1:81, 10.0.0.2:81 draining, 10.0.0.3:81")
		b.after(20 * time.Second)
		b.wantAddrs("a poll is under way", "10.0.0.1:81, 10.0.0.2:81 draining, 10.0.0.3:81")
		two.load.done()
		b.after(5 * time.Second)
		b.wantAddrs("just quiet", "10.0.0.1:81, 10.0.0.2:81 draining, 10.0.0.3:81")
		b.after(8 * time.Second)
		b.wantAddrs("quiet", "10.0.0.1:81, 10.0.0.3:81")
		if !two.is(Gone) || len(b.downs) != 1 {
			t.Errorf("%s, %d ends", two.State(), len(b.downs))
		}
	})
}

// A comet that was taken off the list goes when its time is over, though somebody is
// still there, and at once when it is down.
func TestUnlistedEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dnstest.NewTable(map[string][]string{"comets": {"10.0.0.1", "10.0.0.2", "10.0.0.3"}}, nil)
		b, _ := found(t, d, nil, "dns://comets")
		b.run()
		b.comet("10.0.0.2:80").load.begin()
		b.comet("10.0.0.3:80").load.begin()
		d.Set("comets", "10.0.0.1")
		b.lookups(d, 2)
		b.wantAddrs("drained", "10.0.0.1:80, 10.0.0.2:80 draining, 10.0.0.3:80 draining")
		b.refuses("10.0.0.3:80")
		b.after(2 * time.Second)
		b.wantAddrs("one is down", "10.0.0.1:80, 10.0.0.2:80 draining")
		b.after(45 * time.Second)
		b.wantAddrs("within the time", "10.0.0.1:80, 10.0.0.2:80 draining")
		b.after(20 * time.Second)
		b.wantAddrs("its time is over", "10.0.0.1:80")
	})
}

// No answer, and an empty one, change nothing, and are logged once.
func TestNameServerIll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dnstest.NewTable(map[string][]string{"comets": {"10.0.0.1"}}, nil)
		b, logs := found(t, d, nil, "dns://comets", "http://10.0.0.9")
		b.run()
		for i := range 4 {
			d.Fails([]error{errors.New("timeout"), nil}[i%2])
			d.Set("comets")
			b.after(30 * time.Second)
			b.wantAddrs("ill", "10.0.0.1:80, 10.0.0.9:80")
		}
		if n := logs.FilterMessageSnippet("cannot be looked up").Len(); n != 4 {
			t.Errorf("%d lines of log for 4 changes", n)
		}
		d.Set("comets", "10.0.0.2")
		b.lookups(d, 2)
		if got := b.addrs(); !strings.HasPrefix(got, "10.0.0.1:80 draining, 10.0.0.2:80, ") {
			t.Errorf("well again: %s", got)
		}
		failed := sumOf(t, "lookups_total", []prometheus.Collector{b.fleet.finder}, "name=dns://comets:80", "result=failed")
		empty := sumOf(t, "lookups_total", []prometheus.Collector{b.fleet.finder}, "name=dns://comets:80", "result=empty")
		if failed < 10 || empty < 10 {
			t.Errorf("%v failed, %v empty", failed, empty)
		}
	})
}

// The balancer is not ready before each name was asked for, and is when one has no
// answer.
func TestReadyAfterLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dnstest.NewTable(nil, nil)
		d.Fails(errors.New("timeout"))
		b, _ := found(t, d, nil, "dns://comets")
		if _, complete := b.fleet.finder.List(); complete {
			t.Error("complete before it was asked")
		}
		b.run()
		if !b.fleet.snapshot().ready {
			t.Error("not ready though there was no answer")
		}
		if d := b.fleet.route(&request{handshake: true}); d.reason != ReasonNoComet {
			t.Errorf("%+v", d)
		}
	})
}

// SRV records bring ports, weights and backups; a comet of the gossip at such an address
// is that comet, with the weight of the list, and loses it with its place there.
func TestServiceAndGossip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		two := &net.SRV{Target: "b.", Port: 8080, Weight: 9, Priority: 2}
		d := dnstest.NewTable(
			map[string][]string{"a.": {"10.0.0.1"}, "b.": {"10.0.0.2"}},
			map[string][]*net.SRV{"_c._tcp.x": {{Target: "a.", Port: 8080, Weight: 7, Priority: 1}, two}},
		)
		g := newGossip()
		b, _ := found(t, d, g, "srv://_c._tcp.x", "http://10.0.0.1:8080 weight=2", "http://z weight=0")
		b.run()
		g.says(at("a", "10.0.0.1:8080", 1, cluster.Up))
		close(g.synced)
		synctest.Wait()
		b.wantAddrs("merged", "10.0.0.1:8080, 10.0.0.2:8080, z:80")
		a := b.comet("10.0.0.1:8080")
		if a.name != "a" || !a.gossips || a.share.Load() != 7 || !b.fleet.status()[1].Backup || b.fleet.status()[2].Weight != 0 {
			t.Errorf("%+v", b.fleet.status())
		}
		for i := range 50 {
			if to := rendezvous(b.fleet.snapshot().comets, testKey(i)); to != a {
				t.Fatalf("to %s", to.name)
			}
		}
		d.SetService("_c._tcp.x", two)
		b.after(15 * time.Second)
		// The entry of the configuration is all that there is now.
		if a.share.Load() != 2 || b.comet("10.0.0.2:8080").tier.Load() != 0 || !a.is(Healthy) {
			t.Errorf("%+v", b.fleet.status())
		}
		b.reload(func(c *Config) { c.Comets = []string{"srv://_c._tcp.x"} })
		synctest.Wait()
		if a.share.Load() != 1 || !a.is(Healthy) {
			t.Errorf("%+v", b.fleet.status())
		}
		b.after(15 * time.Second)
		b.wantAddrs("the list lost z", "10.0.0.1:8080, 10.0.0.2:8080")
	})
}

// A reload takes names off and on.
func TestReloadOfNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dnstest.NewTable(map[string][]string{"a": {"10.0.0.1"}, "b": {"10.0.0.2"}}, nil)
		b, _ := found(t, d, nil, "dns://a")
		b.run()
		b.reload(func(c *Config) { c.Comets = []string{"dns://b", "dns://a"}; c.Discovery.DNSInterval = time.Second })
		synctest.Wait()
		b.wantAddrs("one more", "10.0.0.1:80, 10.0.0.2:80")
		b.reload(func(c *Config) { c.Comets = []string{"dns://b"} })
		b.after(time.Second)
		b.wantAddrs("one less", "10.0.0.1:80 draining, 10.0.0.2:80")
		n, m := d.Asks("a"), d.Asks("b")
		b.after(time.Minute)
		if d.Asks("a") != n || d.Asks("b") < m+50 {
			t.Errorf("asked %d times more for a, %d for b", d.Asks("a")-n, d.Asks("b")-m)
		}
	})
}

// The file is read at the start, and again when it changes; a broken one changes
// nothing.
func TestCometsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "comets")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write("nowhere\n")
	cfg := quick()
	cfg.Discovery.CometsFile = path
	if _, err := New(cfg, nil); err == nil || !strings.Contains(err.Error(), "comets-file: "+path) || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a broken file at the start: %v", err)
	}
	a, z := newFakeComet(t, "a", ok), newFakeComet(t, "z", ok)
	write("http://" + a.addr + "\n")
	core, logs := observer.New(zap.InfoLevel)
	cfg.Log = zap.New(core)
	b := run(t, cfg, nil)
	b.post(handshake)
	if a.requests() != 1 {
		t.Error("not sent to the comet of the file")
	}
	write("- url: http://" + z.addr + "\n  weight: 2\n")
	b.until("z is there", func() bool { return b.has(z) && b.comet(z).is(Healthy) && b.comet(a).is(Draining) })
	if w := b.comet(z).share.Load(); w != 2 {
		t.Errorf("weight %d", w)
	}
	write("nowhere\n")
	b.until("the mistake is logged", func() bool { return logs.FilterMessageSnippet("cannot be used").Len() == 1 })
	if failed := b.scrape("list_reloads_total", "result=failed"); failed != 1 || !b.comet(z).is(Healthy) {
		t.Errorf("%v failures, z is %s", failed, b.comet(z).State())
	}
	write("http://" + a.addr + "\nhttp://" + z.addr + "\n")
	b.until("a is back", func() bool { return b.comet(a).is(Healthy) && b.comet(z).share.Load() == 1 })
}

func (r *running) has(c *fakeComet) bool {
	for _, have := range r.fleet.snapshot().comets {
		if have.Addr == c.addr {
			return true
		}
	}
	return false
}

// From end to end with a name server: the comets of a name get its clients, under the
// host that the clients named, and a change of the name fails no request.
func TestNameServerAndRequests(t *testing.T) {
	n := dnstest.NewServer(t)
	hosts := make(chan string, 1000)
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		hosts <- r.Host
		ok(w, r)
	})
	_, port, _ := net.SplitHostPort(a.addr)
	other := newFakeCometAt(t, "b", "127.0.0.2:"+port, ok)
	n.Has(t, "comets.example. 0 A 127.0.0.1")
	cfg := quick()
	cfg.Comets = []string{"dns://comets.example:" + port}
	cfg.Discovery = Discovery{DNSServer: n.Addr, DNSInterval: 20 * time.Millisecond}
	b := run(t, cfg, nil)
	b.until("a is healthy", func() bool { return b.has(a) && b.comet(a).is(Healthy) })
	if got := b.post(handshake, "Host: www.example").one(t); got.failed() {
		t.Errorf("%+v", got)
	}
	if h := <-hosts; h != "www.example" {
		t.Errorf("the comet saw the host %q", h)
	}
	n.Has(t, "comets.example. 0 A 127.0.0.1", "comets.example. 0 A 127.0.0.2")
	b.until("b is healthy", func() bool { return b.has(other) && b.comet(other).is(Healthy) })
	n.Has(t, "comets.example. 0 A 127.0.0.2")
	for i := 0; !b.comet(a).is(Draining); i++ {
		if got := b.post(handshake); got.status != 200 || got.one(t).failed() {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	before := other.requests()
	for i := range 20 {
		if got := b.post(fmt.Sprintf(`[{"id":"%d","channel":"/meta/handshake"}]`, i)); got.one(t).failed() {
			t.Errorf("%s", got.body)
		}
	}
	if n := other.requests() - before; n != 20 {
		t.Errorf("%d of 20 handshakes came to the comet that is left", n)
	}
}

// reload changes the configuration of a fleet as Balancer.Reload does.
func (b *bench) reload(change func(*Config)) {
	b.t.Helper()
	cfg := *b.fleet.conf()
	change(&cfg)
	next, err := newInForce(cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	b.fleet.live.now.Store(next)
	b.fleet.reloaded()
}

// The certificate of a comet that was found by its name is to be for that name.
func TestNamesOverTLS(t *testing.T) {
	n := dnstest.NewServer(t)
	n.Has(t, "comets.example. 0 A 127.0.0.1", "others.example. 0 A 127.0.0.1")
	authority := tlstest.New(t)
	cert, key := authority.Named(t, t.TempDir(), "comet", pkix.Name{CommonName: "comets.example"}, time.Now().Add(time.Hour), "comets.example")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	a := newSecureComet(t, "a", &tls.Config{Certificates: []tls.Certificate{pair}}, ok)
	_, port, _ := net.SplitHostPort(a.addr)
	for name, want := range map[string]State{"comets.example": Healthy, "others.example": Down} {
		cfg := quick()
		cfg.CometTLS.CAFile = authority.File
		cfg.Comets, cfg.Discovery.DNSServer = []string{"dns+https://" + name + ":" + port}, n.Addr
		b := run(t, cfg, nil)
		b.untilState(a, want)
		if got := b.post(handshake).one(t); got.failed() != (want == Down) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
