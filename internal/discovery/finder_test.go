package discovery

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/internal/dnstest"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// finding is a finder that runs until the test ends. Its settings may change.
type finding struct {
	*Finder
	t      *testing.T
	listed atomic.Pointer[[]Entry]
	told   atomic.Int32 // how often the list was told to be another
}

// find runs one in a synctest bubble, and waits until it has nothing more to do.
func find(t *testing.T, d *dnstest.Table, listed ...string) *finding {
	t.Helper()
	f := &finding{t: t}
	f.lists(listed...)
	var err error
	f.Finder, err = New(Config{
		Entries:  func() []Entry { return *f.listed.Load() },
		Resolver: d,
		Pause:    func() time.Duration { return 5 * time.Second },
		Changed:  func() { f.told.Add(1) },
		Log:      zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	synctest.Wait()
	return f
}

// lists makes the texts the entries of the settings.
func (f *finding) lists(texts ...string) {
	f.t.Helper()
	entries, err := Parse("", texts)
	if err != nil {
		f.t.Fatal(err)
	}
	f.listed.Store(&entries)
}

// series is how many names and results are counted.
func (f *finding) series() int {
	ch := make(chan prometheus.Metric, 100)
	f.Collect(ch)
	return len(ch)
}

// What stands for a backup by its name in the list is one, be it a plain name or one of
// those of a service, which have ranks of their own.
func TestNamesOfBackups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dnstest.NewTable(
			map[string][]string{"plain": {"10.0.0.1"}, "x.": {"10.0.0.2"}, "y.": {"10.0.0.3"}},
			map[string][]*net.SRV{"_c._tcp.z": {{Target: "x.", Port: 80, Priority: 1}, {Target: "y.", Port: 80, Priority: 2}}},
		)
		f := find(t, d, "dns://plain backup", "srv://_c._tcp.z backup", "http://10.0.0.9")
		want := map[string]uint32{
			"10.0.0.1:80": backupTier, "10.0.0.2:80": backupTier, "10.0.0.3:80": backupTier + 1, "10.0.0.9:80": 0,
		}
		all, complete := f.List()
		if len(all) != len(want) || !complete {
			t.Errorf("%d comets, complete %v", len(all), complete)
		}
		for _, l := range all {
			if tier, listed := want[l.Addr]; !listed || l.Tier != tier {
				t.Errorf("%s: tier %d, want %d", l.Addr, l.Tier, tier)
			}
		}
	})
}

// A name that is not listed any more leaves nothing behind in the metrics, also when its
// last answer comes late; and that changes nothing.
func TestNameIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := find(t, dnstest.NewTable(map[string][]string{"a": {"10.0.0.1"}, "b": {"10.0.0.2"}}, nil), "dns://a", "dns://b")
		var gone lookup
		var was *followed
		f.mu.Lock()
		for l, at := range f.names {
			if l.name == "a" {
				gone, was = l, at
			}
		}
		f.mu.Unlock()
		if f.series() != 2 || was == nil {
			t.Fatalf("%d series for two names", f.series())
		}
		f.lists("dns://b")
		f.Refresh()
		synctest.Wait()
		told := f.told.Load()
		f.answered(gone, was, []Comet{{Weight: 1}}, nil)
		if f.series() != 1 || f.told.Load() != told {
			t.Errorf("%d series for one name; told of a change: %d", f.series(), f.told.Load()-told)
		}
	})
}
