package balancer

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What stands for a backup by its name in the list is one, be it a plain name or one of
// those of a service, which have ranks of their own.
func TestNamesOfBackups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dnsTable{
			hosts: map[string][]string{"plain": {"10.0.0.1"}, "x.": {"10.0.0.2"}, "y.": {"10.0.0.3"}},
			srv:   map[string][]*net.SRV{"_c._tcp.z": {{Target: "x.", Port: 80, Priority: 1}, {Target: "y.", Port: 80, Priority: 2}}},
		}
		b, _ := found(t, d, nil, "dns://plain backup", "srv://_c._tcp.z backup", "http://10.0.0.9")
		b.run()
		for addr, want := range map[string]uint32{
			"10.0.0.1:80": backupTier, "10.0.0.2:80": backupTier, "10.0.0.3:80": backupTier + 1, "10.0.0.9:80": 0,
		} {
			if got := b.comet(addr).tier.Load(); got != want {
				t.Errorf("%s: tier %d, want %d", addr, got, want)
			}
		}
	})
}

// A name that is not listed any more leaves nothing behind in the metrics, also when its
// last answer comes late; and that changes nothing.
func TestNameIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dnsTable{hosts: map[string][]string{"a": {"10.0.0.1"}, "b": {"10.0.0.2"}}}
		b, _ := found(t, d, nil, "dns://a", "dns://b")
		b.run()
		series := func() int {
			ch := make(chan prometheus.Metric, 100)
			b.fleet.metrics.lookups.Collect(ch)
			return len(ch)
		}
		f := b.fleet.finder
		var gone lookup
		var was *followed
		f.mu.Lock()
		for l, at := range f.names {
			if l.name == "a" {
				gone, was = l, at
			}
		}
		f.mu.Unlock()
		if series() != 2 || was == nil {
			t.Fatalf("%d series for two names", series())
		}
		b.reload(func(c *Config) { c.Comets = []string{"dns://b"} })
		b.after(time.Millisecond)
		told := 0
		f.changed = func() { told++ }
		f.answered(gone, was, []listedComet{{weight: 1}}, nil)
		if series() != 1 || told != 0 {
			t.Errorf("%d series for one name; told of a change: %d", series(), told)
		}
	})
}

// A reload is told at once: to the checks, which go by the new settings, and to whoever
// knows the list.
func TestReloadIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, "http://a")
		b.fleet.conf().CheckInterval = time.Hour // nothing runs yet
		b.run()
		n := b.asked("a:80")
		b.reload(func(c *Config) { c.Comets = append(c.Comets, "http://b") })
		synctest.Wait()
		if got := b.asked("a:80"); got != n+1 {
			t.Errorf("checked %d times", got-n)
		}
		b.want("b:80", Healthy)
	})
	a, other := newFakeComet(t, "a", ok), newFakeComet(t, "b", ok)
	cfg := quick()
	r := listing(t, cfg, a)
	cfg.Comets = []string{a.url(), other.url()}
	if _, _, err := r.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	r.until("the comet that was added is there", func() bool { return r.has(other) && r.comet(other).is(Healthy) })
}
