package cluster

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
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

// Why a node is alone is told again and again; that one is away while others are there
// only once, until it has been back.
func TestRejoinerTellsOnceWhoIsAway(t *testing.T) {
	s := newSearcher("10.0.0.3:1")
	s.strangers = map[string]time.Time{}
	core, seen := observer.New(zapcore.InfoLevel)
	s.logs.log = zap.New(core)
	told := func() (texts []string) {
		for _, e := range seen.TakeAll() {
			text, _, _ := strings.Cut(e.Message, ":")
			texts = append(texts, e.Level.String()+" "+text)
		}
		return texts
	}
	self, there, gone := tableNode("a", "1", 1), tableNode("b", "1", 1), tableNode("c", "1", 2)
	self.Addr, there.Addr, gone.Addr, gone.State = s.self, "10.0.0.2:1", "10.0.0.3:1", Failed
	round := func(nodes ...Node) []string {
		s.set(func() { s.seen = newView(nodes) })
		s.round(context.Background())
		return told()
	}
	const alone, away = "warn could not join yet, trying again", "info a node that is missing does not answer, and is tried again and again"
	back := gone
	back.State = Up
	for i, step := range []struct {
		nodes []Node
		want  []string
	}{
		{[]Node{self}, []string{alone}},
		{[]Node{self, there, gone}, []string{away}},
		{[]Node{self, there, gone}, nil},
		{[]Node{self, there, back}, nil},
		{[]Node{self, there, gone}, []string{away}},
		{[]Node{self}, []string{alone}},
	} {
		if got := round(step.nodes...); !slices.Equal(got, step.want) {
			t.Errorf("round %d tells %q, want %q", i, got, step.want)
		}
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
