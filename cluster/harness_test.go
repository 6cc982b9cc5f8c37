package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait for a condition; no test takes as long as that.
const patience = 30 * time.Second

// network cuts nodes off from each other by their gossip addresses.
type network struct {
	mu   sync.Mutex
	side map[string]int // guarded by mu; nodes on different sides do not reach each other
}

func newNetwork() *network { return &network{side: make(map[string]int)} }

func (n *network) put(side int, addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range addrs {
		n.side[a] = side
	}
}

var errCut = errors.New("test: cut off")

func (n *network) reach(from, to string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.side[from] != n.side[to] {
		return errCut
	}
	return nil
}

// testConfig is a node of the test's cluster on loopback.
func testConfig(name, tag string) Config {
	cfg := DefaultConfig()
	cfg.Name, cfg.Tag, cfg.Role = name, tag, RoleComet
	cfg.URL = "http://" + name + "." + tag + ".example:8080/cometd"
	cfg.Bind = "127.0.0.1:0"
	cfg.RejoinInterval = 200 * time.Millisecond
	cfg.DoubleAfter = time.Hour
	return cfg
}

// node is a running Cluster.
type node struct {
	*Cluster
	tb   testing.TB
	stop context.CancelCauseFunc
	done chan error
	net  *network
	logs *observer.ObservedLogs
}

// start runs a node; net may be nil. The node is stopped with the test.
func start(tb testing.TB, net *network, cfg Config) *node {
	tb.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	cfg.Log = zap.New(core)
	c, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	if net != nil {
		c.reach = func(to string) error { return net.reach(c.Addr(), to) }
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	n := &node{Cluster: c, tb: tb, stop: cancel, done: make(chan error, 1), net: net, logs: logs}
	go func() { n.done <- c.Run(ctx) }()
	tb.Cleanup(n.end)
	select {
	case <-c.Started():
	case err := <-n.done:
		n.done <- err
		tb.Fatalf("%s: Run: %v", cfg.Name, err)
	}
	return n
}

// end stops the node in order and waits for it.
func (n *node) end() {
	n.endWith(nil)
}

func (n *node) endWith(cause error) {
	n.stop(cause)
	err := <-n.done
	n.done <- err
	if err != nil {
		n.tb.Errorf("%s: Run: %v", n.cfg.Name, err)
	}
}

// crash ends the node as kill -9 would: nobody hears a word of it.
func (n *node) crash() { n.endWith(ErrVanish) }

// sees waits until the view of n satisfies cond, which returns what is missing.
func (n *node) sees(what string, cond func(*View) error) *View {
	n.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := errors.New("no view came")
	for v := range n.Watch(ctx) {
		if err = cond(v); err == nil {
			return v
		}
	}
	n.tb.Fatalf("%s never saw %s: %v; it sees %v", n.cfg.Name, what, err, n.View().Nodes)
	return nil
}

// seesState waits until n sees the incarnation in the given state.
func (n *node) seesState(other *node, state State) Node {
	n.tb.Helper()
	var found Node
	n.sees(fmt.Sprintf("%s/%s %v", other.cfg.Name, other.cfg.Tag, state), func(v *View) error {
		got, ok := find(v, other.cfg.Name, other.cfg.Tag)
		if !ok {
			return errors.New("not there")
		}
		if found = got; got.State != state {
			return fmt.Errorf("it is %v", got.State)
		}
		return nil
	})
	return found
}

func find(v *View, name, tag string) (Node, bool) {
	for _, n := range v.Nodes {
		if n.Name == name && n.Tag == tag {
			return n, true
		}
	}
	return Node{}, false
}

// allSee waits until each of the nodes sees all of them up.
func allSee(nodes ...*node) {
	for _, n := range nodes {
		n.tb.Helper()
		for _, other := range nodes {
			n.seesState(other, Up)
		}
	}
}

// wait fails the test when ch is not closed in time.
func wait(tb testing.TB, what string, ch <-chan struct{}) {
	tb.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		tb.Fatalf("%s did not happen", what)
	}
}

// eventually waits for a condition that has no channel to wait for.
func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !cond(); <-tick.C {
		if time.Now().After(end) {
			tb.Fatalf("%s did not happen", what)
		}
	}
}
