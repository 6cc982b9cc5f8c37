package cluster

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// searcher is a rejoiner whose network is made up.
type searcher struct {
	*rejoiner
	mu     sync.Mutex
	names  map[string][]string // guarded by mu
	up     map[string]bool     // guarded by mu
	seen   *View               // guarded by mu
	dials  map[string]int      // guarded by mu
	synced int                 // guarded by mu
}

func newSearcher(join ...string) *searcher {
	cfg := testConfig("a", "1")
	cfg.Join, cfg.RejoinInterval = join, 4*time.Second
	s := &searcher{
		names: map[string][]string{}, up: map[string]bool{}, dials: map[string]int{}, seen: &View{},
	}
	s.rejoiner = &rejoiner{
		cfg: &cfg, own: netip.MustParseAddrPort("10.0.0.1:7946"), self: "10.0.0.1:7946",
		logs: &logs{log: zap.NewNop(), count: &counters{}},
	}
	s.view = func() *View {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.seen
	}
	s.rejoiner.synced = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.synced++
	}
	s.lookup = func(_ context.Context, host string) (ips []netip.Addr, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, ip := range s.names[host] {
			ips = append(ips, netip.MustParseAddr(ip))
		}
		if ips == nil {
			err = errors.New("no such host")
		}
		return ips, err
	}
	s.dial = func(addr string) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.dials[addr]++
		if !s.up[addr] {
			return errors.New("refused")
		}
		return nil
	}
	return s
}

func (s *searcher) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// dialled returns the addresses dialled since the last call.
func (s *searcher) dialled() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.dials
	s.dials = map[string]int{}
	return d
}

func TestRejoinerNeverGivesUpAndResolvesAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSearcher("seed.example:7946", "10.0.0.9:1000", "10.0.0.1:7946")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.run(ctx); close(done) }()
		time.Sleep(time.Second)
		d := s.dialled()
		if d["10.0.0.9:1000"] < 3 {
			t.Errorf("a node that knows nobody is not quick: %v", d)
		}
		if d["10.0.0.1:7946"] != 0 || s.synced != 0 {
			t.Errorf("dialled itself, or synced with nobody reached: %v", d)
		}
		time.Sleep(24 * time.Hour)
		if d := s.dialled()["10.0.0.9:1000"]; d < 20_000 || d > 23_000 {
			t.Errorf("dialled %d times in a day", d)
		}
		s.set(func() { s.names["seed.example"] = []string{"10.0.0.7", "::ffff:10.0.0.8", "10.0.0.1"} })
		time.Sleep(time.Minute)
		d = s.dialled()
		if d["10.0.0.7:7946"] == 0 || d["10.0.0.8:7946"] == 0 || d["10.0.0.1:7946"] != 0 {
			t.Errorf("after the name was there: %v", d)
		}
		s.set(func() { s.names["seed.example"] = []string{"10.0.0.6"}; s.up["10.0.0.6:7946"] = true })
		time.Sleep(10 * time.Second)
		s.dialled()
		s.set(func() {
			if s.synced == 0 {
				t.Error("not synced though one was reached")
			}
		})
		cancel()
		<-done
	})
}

func TestRejoinerDialsWhoIsMissingOnly(t *testing.T) {
	s := newSearcher("10.0.0.2:1", "10.0.0.3:1")
	s.strangers = map[string]time.Time{}
	live, lost := tableNode("b", "1", 1), tableNode("c", "1", 2)
	live.Addr, lost.Addr, lost.State = "10.0.0.2:1", "10.0.0.4:1", Failed
	s.seen = newView([]Node{live, lost})
	s.round(context.Background())
	if d := s.dialled(); len(d) != 2 || d["10.0.0.3:1"] != 1 || d["10.0.0.4:1"] != 1 {
		t.Errorf("dialled %v", d)
	}
}

func TestRejoinerLeavesStrangersAloneForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A seed behind address translation: it answers, and is a member elsewhere.
		s := newSearcher("192.0.2.1:1")
		s.strangers = map[string]time.Time{}
		s.up["192.0.2.1:1"] = true
		seed := tableNode("seed", "1", 1)
		s.seen = newView([]Node{seed})
		for range 10 {
			s.round(t.Context())
		}
		if d := s.dialled(); d["192.0.2.1:1"] != 1 {
			t.Errorf("dialled %v in ten rounds", d)
		}
		time.Sleep(s.cfg.SyncInterval + time.Second)
		s.round(t.Context())
		if d := s.dialled(); d["192.0.2.1:1"] != 1 {
			t.Errorf("dialled %v after the pause", d)
		}
		seed.State = Failed
		s.seen = newView([]Node{seed})
		s.round(t.Context())
		if d := s.dialled(); d["192.0.2.1:1"] != 1 {
			t.Errorf("dialled %v when a member was lost", d)
		}
	})
}

func TestTargetsAreBoundedAndEachHasItsTurn(t *testing.T) {
	var seeds, lost []string
	for i := range 100 {
		seeds = append(seeds, netip.AddrPortFrom(netip.MustParseAddr("10.1.0.1"), uint16(1000+i)).String())
		lost = append(lost, netip.AddrPortFrom(netip.MustParseAddr("10.2.0.1"), uint16(1000+i)).String())
	}
	seen := map[string]bool{}
	for range 1000 {
		got := targets(seeds, lost, map[string]bool{seeds[0]: true})
		if len(got) != 2*maxTargets || !slices.Contains(seeds, got[0]) || slices.Contains(got, seeds[0]) {
			t.Fatalf("chose %v", got)
		}
		for _, addr := range got {
			seen[addr] = true
		}
	}
	if len(seen) != 199 {
		t.Errorf("only %d of 199 had their turn", len(seen))
	}
	if got := targets([]string{"a", "a"}, []string{"a", "b"}, nil); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("chose %v", got)
	}
}
