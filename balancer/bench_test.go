package balancer

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/sticky"
	"go.uber.org/zap"
)

// gossip is a membership that the test writes.
type gossip struct {
	views  chan *cluster.View
	synced chan struct{}

	mu   sync.Mutex
	view *cluster.View
}

func newGossip() *gossip {
	return &gossip{views: make(chan *cluster.View), synced: make(chan struct{}), view: &cluster.View{}}
}

func (g *gossip) View() *cluster.View {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.view
}
func (g *gossip) Watch(context.Context) <-chan *cluster.View { return g.views }
func (g *gossip) Synced() <-chan struct{}                    { return g.synced }

// says makes the fleet take over a view, in the order in which the gossip has it.
func (g *gossip) says(nodes ...cluster.Node) {
	slices.SortStableFunc(nodes, func(a, b cluster.Node) int {
		switch {
		case a.Name != b.Name:
			return map[bool]int{true: -1, false: 1}[a.Name < b.Name]
		case a.State.Live() != b.State.Live():
			return map[bool]int{true: 1, false: -1}[a.State.Live()]
		}
		return a.Started.Compare(b.Started)
	})
	v := &cluster.View{Nodes: nodes}
	g.mu.Lock()
	g.view = v
	g.mu.Unlock()
	g.views <- v
	synctest.Wait()
}

// at is a comet of that name at that host, the i-th incarnation there ever was.
func at(name, host string, i int, s cluster.State) cluster.Node {
	return cluster.Node{
		Name: name, Tag: string(testTag(i)), Role: cluster.RoleComet, URL: "http://" + host + "/cometd",
		State: s, Started: time.Unix(int64(i), 0),
	}
}

// bench is a fleet whose checks are answered by the test. It runs in a synctest
// bubble.
type bench struct {
	t     *testing.T
	fleet *fleet

	mu    sync.Mutex
	mood  map[string]error // of an address: nil answers
	calls map[string]int
	downs []*comet // as onDown was called
}

var (
	errRefused = errors.New("refused")
	errSilent  = errors.New("silent")
)

func newBench(t *testing.T, g *gossip, listed ...string) *bench {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Comets, cfg.Log = listed, zap.NewNop()
	live, err := newLive(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, mood: map[string]error{}, calls: map[string]int{}}
	var members Members
	if g != nil {
		members = g
	}
	f, err := newFleet(live, members, newMetrics(), func(c *comet) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.downs = append(b.downs, c)
	})
	if err != nil {
		t.Fatal(err)
	}
	b.fleet = f
	f.check = b.check
	return b
}

func (b *bench) check(ctx context.Context, c *comet) (checkResult, error) {
	b.mu.Lock()
	mood := b.mood[c.Addr]
	b.calls[c.Addr]++
	b.mu.Unlock()
	switch {
	case mood == nil:
		return checkOK, nil
	case errors.Is(mood, errRefused):
		return checkRefused, mood
	case errors.Is(mood, errSilent):
		select {
		case <-time.After(b.fleet.conf().CheckTimeout):
		case <-ctx.Done():
		}
	}
	return checkFailed, mood
}

func (b *bench) fails(addr string, how error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mood[addr] = how
}
func (b *bench) silent(addr string)  { b.fails(addr, errSilent) }
func (b *bench) refuses(addr string) { b.fails(addr, errRefused) }
func (b *bench) answers(addr string) { b.fails(addr, nil) }

func (b *bench) asked(addr string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[addr]
}

// run runs the fleet until the test ends, and waits for the first checks to end.
func (b *bench) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.fleet.run(ctx) }()
	b.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Errorf("run: %v", err)
		}
	})
	synctest.Wait()
}

// after lets time pass.
func (b *bench) after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (b *bench) comet(addr string) *comet {
	b.t.Helper()
	for _, c := range b.fleet.snapshot().comets {
		if c.Addr == addr {
			return c
		}
	}
	b.t.Fatalf("no comet at %s", addr)
	return nil
}

func (b *bench) want(addr string, s State) {
	b.t.Helper()
	if c := b.comet(addr); !c.is(s) {
		b.t.Errorf("%s is %s, want %s", addr, c.State(), s)
	}
}

// until waits for a state. The channel is taken before the look, so that no change
// is missed between the two.
func (b *bench) until(addr string, s State) {
	b.t.Helper()
	for {
		changed := b.fleet.changed()
		if b.comet(addr).is(s) {
			return
		}
		<-changed
	}
}

// owner is the decision for a session of the i-th incarnation.
func (b *bench) owner(i int) decision {
	return b.fleet.route(&request{clientID: sticky.NewClientID(testTag(i)), ip: testIP(1)})
}

// synced makes a running fleet that knows these nodes.
func synced(t *testing.T, nodes ...cluster.Node) (*bench, *gossip) {
	g := newGossip()
	b := newBench(t, g)
	b.run()
	g.says(nodes...)
	close(g.synced)
	synctest.Wait()
	return b, g
}
