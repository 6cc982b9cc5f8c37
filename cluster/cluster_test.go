package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zapcore"

	"github.com/halleycomet/halley/internal/testenv"
)

func TestNodesFindEachOtherAndKnowWhatEachSays(t *testing.T) {
	a := start(t, nil, testConfig("a", "t1"))
	cfg := testConfig("b", "t2")
	cfg.Role, cfg.URL, cfg.Join = RoleBalancer, "", []string{a.Addr()}
	b := start(t, nil, cfg)
	cfg = testConfig("c", "t3")
	cfg.Join = []string{a.Addr()}
	c := start(t, nil, cfg)
	allSee(a, b, c)

	got, _ := find(b.View(), "c", "t3")
	want := Node{
		Name: "c", Tag: "t3", Role: RoleComet, URL: "http://c.t3.example:8080/cometd",
		Addr: c.Addr(), State: Up, Started: got.Started,
	}
	if got != want {
		t.Errorf("b knows of c: %+v\nwant %+v", got, want)
	}
	if d := time.Since(got.Started); d < 0 || d > time.Minute {
		t.Errorf("c started %v ago", d)
	}
	if got, _ := find(c.View(), "b", "t2"); got.Role != RoleBalancer || got.URL != "" {
		t.Errorf("c knows of b: %+v", got)
	}

	a.SetLoad(42)
	b.sees("the load of a", func(v *View) error {
		if n, _ := find(v, "a", "t1"); n.Load != 42 {
			return fmt.Errorf("it is %d", n.Load)
		}
		return nil
	})
	a.SetState(Leaving)
	b.seesState(a, Leaving)
	a.SetState(Failed) // not its own to say
	a.SetState(Up)
	c.seesState(a, Up)
}

func TestWhoLeavesInOrderHasLeft(t *testing.T) {
	a := start(t, nil, testConfig("a", "t1"))
	cfg := testConfig("b", "t2")
	cfg.Join = []string{a.Addr()}
	b := start(t, nil, cfg)
	allSee(a, b)
	began := time.Now()
	b.end()
	t.Logf("leaving took %v", time.Since(began))
	a.seesState(b, Left)
	t.Logf("seen after %v", time.Since(began))
	if n := a.logs.FilterMessage("node left").Len(); n != 1 {
		t.Errorf("%d log lines of a node that left", n)
	}
	if lost := a.View().lost(); len(lost) != 0 {
		t.Errorf("a looks for %v, which left in order", lost)
	}
}

func TestAllSeeThatANodeLeftInOrder(t *testing.T) {
	seed := start(t, nil, testConfig("seed", "t1"))
	all := []*node{seed}
	for i := range 7 {
		cfg := testConfig(fmt.Sprint("n", i), "t1")
		cfg.Join = []string{seed.Addr()}
		all = append(all, start(t, nil, cfg))
	}
	allSee(all...)
	for len(all) > 1 {
		leaver := all[len(all)-1]
		all = all[:len(all)-1]
		leaver.end()
		for _, n := range all {
			n.seesState(leaver, Left)
		}
	}
}

func TestGoodbyeNeedsNoGossip(t *testing.T) {
	still := func(name string, join ...string) *node {
		cfg := testConfig(name, "t1")
		cfg.Join, cfg.GossipInterval, cfg.ProbeInterval = join, time.Hour, time.Hour
		cfg.LeaveTimeout = 50 * time.Millisecond
		return start(t, nil, cfg)
	}
	a := still("a")
	b := still("b", a.Addr())
	allSee(a, b)
	b.end()
	a.seesState(b, Leaving)
	if b.logs.FilterMessageSnippet("goodbye was cut short").Len() != 1 {
		t.Error("b does not say that its departure was not sent")
	}
	c := still("c")
	c.SetState(Leaving)
	d := still("d", c.Addr())
	d.seesState(c, Leaving)
	d.end()
	for _, line := range d.logs.FilterMessageSnippet("goodbye was cut short").All() {
		if line.Level != zapcore.DebugLevel {
			t.Errorf("d, which leaves with all the others, says %v", line)
		}
	}
}

func TestACrashIsNoticedBound(t *testing.T) {
	net := newNetwork()
	a := start(t, net, testConfig("a", "t1"))
	var all []*node
	for _, name := range []string{"b", "c"} {
		cfg := testConfig(name, "t1")
		cfg.Join = []string{a.Addr()}
		all = append(all, start(t, net, cfg))
	}
	b, c := all[0], all[1]
	allSee(a, b, c)
	net.put(-1, b.Addr())
	began := time.Now()
	a.seesState(b, Failed)
	c.seesState(b, Failed)
	took := time.Since(began)
	t.Logf("noticed by all after %v", took)
	if bound := testenv.Bound(3 * time.Second); took > bound {
		t.Errorf("the crash was noticed after %v, the bound is %v", took, bound)
	}
	a.seesState(c, Up)
}

func TestComesBackUnderItsNameAtANewAddress(t *testing.T) {
	net := newNetwork()
	a := start(t, net, testConfig("a", "t1"))
	cfg := testConfig("b", "old")
	cfg.Join = []string{a.Addr()}
	old := start(t, net, cfg)
	allSee(a, old)
	old.crash()

	// At once: nobody has noticed yet that the old one is dead.
	cfg = testConfig("b", "new")
	cfg.Join = []string{a.Addr()}
	back := start(t, net, cfg)
	if back.Addr() == old.Addr() {
		t.Fatal("the test needs a new address")
	}
	n := a.seesState(back, Up)
	if n.Addr != back.Addr() {
		t.Errorf("a sees it at %s, it is at %s", n.Addr, back.Addr())
	}
	a.seesState(old, Failed)
	v := a.seesNewest("b", "new")
	if len(v.lost()) != 0 {
		t.Errorf("a looks for %v, though b is back", v.lost())
	}
}

// seesNewest waits until the newest incarnation of name has the given tag.
func (n *node) seesNewest(name, tag string) *View {
	n.tb.Helper()
	return n.sees(name+"/"+tag+" as the newest", func(v *View) error {
		newest := Node{}
		for _, node := range v.Nodes {
			if node.Name == name {
				newest = node
			}
		}
		if newest.Tag != tag {
			return fmt.Errorf("it is %q", newest.Tag)
		}
		return nil
	})
}

func TestASeedThatComesBackAloneIsFound(t *testing.T) {
	net := newNetwork()
	seed := start(t, net, testConfig("seed", "old"))
	cfg := testConfig("a", "t1")
	cfg.Join = []string{seed.Addr()}
	cfg.DeadGossip = time.Millisecond // its absence is a long one
	a := start(t, net, cfg)
	allSee(seed, a)
	addr := seed.Addr()
	seed.end() // in order: so it is no lost member, only the join list names it
	a.seesState(seed, Left)

	cfg = testConfig("seed", "new")
	cfg.Bind = addr
	back := start(t, net, cfg)
	a.seesState(back, Up)
	back.seesState(a, Up)
	a.seesNewest("seed", "new")
}

func TestHalvesOfASplitFindEachOther(t *testing.T) {
	net := newNetwork()
	seed := start(t, net, testConfig("seed", "t1"))
	var all []*node
	for _, name := range []string{"a", "b", "c", "d"} {
		cfg := testConfig(name, "t1")
		cfg.Join = []string{seed.Addr()}
		cfg.DeadGossip = time.Millisecond
		all = append(all, start(t, net, cfg))
	}
	a, b, c, d := all[0], all[1], all[2], all[3]
	allSee(all...)
	// The seed goes for good, so no join list can bring the halves together.
	seed.end()
	for _, n := range all {
		n.seesState(seed, Left)
	}
	net.put(1, c.Addr(), d.Addr())
	for _, n := range []*node{a, b} {
		n.seesState(c, Failed)
		n.seesState(d, Failed)
	}
	for _, n := range []*node{c, d} {
		n.seesState(a, Failed)
		n.seesState(b, Failed)
	}
	net.put(0, c.Addr(), d.Addr())
	allSee(all...)
}

func TestTwoLiveNodesOfOneNameAreLoggedOnce(t *testing.T) {
	cfg := testConfig("a", "t1")
	cfg.DoubleAfter = 50 * time.Millisecond
	a := start(t, nil, cfg)
	var twins []*node
	for _, tag := range []string{"one", "two"} {
		cfg := testConfig("twin", tag)
		cfg.Join = []string{a.Addr()}
		twins = append(twins, start(t, nil, cfg))
	}
	const text = "two live nodes have one name: give each its own"
	eventually(t, "the log line", func() bool { return a.logs.FilterMessage(text).Len() > 0 })
	// Both are really there, so both are shown.
	a.seesState(twins[0], Up)
	a.seesState(twins[1], Up)
	twins[0].SetLoad(7)
	a.sees("an update after the line", func(v *View) error {
		if n, _ := find(v, "twin", "one"); n.Load != 7 {
			return errors.New("not yet")
		}
		return nil
	})
	if n := a.logs.FilterMessage(text).Len(); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

func TestSynced(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	deadAddr := dead.Addr().String()
	_ = dead.Close()

	t.Run("nobody to join", func(t *testing.T) {
		cfg := testConfig("a", "t1")
		cfg.SyncedTimeout = time.Hour
		wait(t, "Synced", start(t, nil, cfg).Synced())
	})
	t.Run("only itself to join", func(t *testing.T) {
		// Its own port must be known before: take one that was free just now.
		cfg := testConfig("a", "t1")
		cfg.Bind, cfg.Join, cfg.SyncedTimeout = deadAddr, []string{deadAddr}, time.Hour
		wait(t, "Synced", start(t, nil, cfg).Synced())
	})
	t.Run("with the view of the first one reached", func(t *testing.T) {
		a := start(t, nil, testConfig("a", "t1"))
		cfg := testConfig("b", "t1")
		cfg.Join = []string{a.Addr()}
		b := start(t, nil, cfg)
		allSee(a, b)
		cfg = testConfig("c", "t1")
		cfg.Join, cfg.SyncedTimeout = []string{deadAddr, a.Addr()}, time.Hour
		c := start(t, nil, cfg)
		wait(t, "Synced", c.Synced())
		for _, name := range []string{"a", "b", "c"} {
			if _, ok := find(c.View(), name, "t1"); !ok {
				t.Errorf("synced without %s: %v", name, c.View().Nodes)
			}
		}
	})
	t.Run("not before the bound when seeds are dead", func(t *testing.T) {
		cfg := testConfig("a", "t1")
		cfg.Join, cfg.SyncedTimeout = []string{deadAddr}, 300*time.Millisecond
		began := time.Now()
		a := start(t, nil, cfg)
		wait(t, "Synced", a.Synced())
		if took := time.Since(began); took < cfg.SyncedTimeout {
			t.Errorf("synced after %v with nobody reached", took)
		}
		if a.Stats().JoinFailures == 0 {
			t.Error("no failed join was counted")
		}
	})
}

func TestRunLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	net := newNetwork()
	a := start(t, net, testConfig("a", "t1"))
	cfg := testConfig("b", "t1")
	cfg.Join = []string{a.Addr()}
	b := start(t, net, cfg)
	allSee(a, b)
	watched := a.Watch(context.Background())
	b.crash() // a is in the middle of finding out
	a.end()
	ended := make(chan struct{})
	go func() {
		for range watched { // closed by the end of Run
		}
		close(ended)
	}()
	wait(t, "the end of the watched channel", ended)
	goleak.VerifyNone(t, before)
	if v, ok := <-a.Watch(context.Background()); !ok || v != a.View() {
		t.Error("Watch after the end has no last view")
	}
	if err := a.Run(context.Background()); !errors.Is(err, errRanBefore) {
		t.Errorf("second Run: %v", err)
	}
}

func TestATakenPortIsAnError(t *testing.T) {
	a := start(t, nil, testConfig("a", "t1"))
	cfg := testConfig("b", "t1")
	cfg.Bind = a.Addr()
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), a.Addr()) {
		t.Fatalf("Run: %v", err)
	}
	select {
	case <-b.Started():
		t.Error("Started although nothing was bound")
	default:
	}
	if b.Addr() != "" {
		t.Errorf("Addr %q", b.Addr())
	}
}

func TestAdvertise(t *testing.T) {
	cfg := testConfig("a", "t1")
	cfg.Bind, cfg.Advertise = "0.0.0.0:0", "localhost:0"
	a := start(t, nil, cfg)
	host, port, err := splitAddr(a.Addr(), 1)
	if err != nil || host != "127.0.0.1" {
		t.Fatalf("advertised %q: %v", a.Addr(), err)
	}
	cfg = testConfig("b", "t1")
	cfg.Join = []string{fmt.Sprintf("localhost:%d", port)}
	b := start(t, nil, cfg)
	allSee(a, b)
	if addrs := b.View().liveAddrs(); !addrs[a.Addr()] {
		t.Errorf("b knows %v", addrs)
	}
	if nodes := slices.Clone(b.View().Nodes); len(nodes) != 2 {
		t.Errorf("b sees %v", nodes)
	}
}
