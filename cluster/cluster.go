package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Cluster is this node's membership. All methods may be called by any goroutine,
// before, during and after Run.
type Cluster struct {
	// Fixed after construction.
	cfg     Config
	self    *self
	inbox   *inbox
	hub     *hub
	count   *counters
	logs    *logs
	started chan struct{}
	synced  chan struct{}
	reach   func(addr string) error // nil, or a test's word on who is cut off

	ran  atomic.Bool
	addr atomic.Pointer[string] // set before started is closed
}

// New checks cfg, and reports all its mistakes at once. It opens nothing.
func New(cfg Config) (*Cluster, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Join = slices.Clone(cfg.Join)
	cfg.Keys = slices.Clone(cfg.Keys)
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	node := Node{
		Name: cfg.Name, Tag: cfg.Tag, Role: cfg.Role, URL: cfg.URL, State: Up,
		Started: time.Now(),
	}
	count := &counters{}
	return &Cluster{
		cfg: cfg, self: newSelf(node), inbox: newInbox(), hub: newHub(),
		count: count, logs: &logs{log: cfg.Log.Named("gossip"), count: count},
		started: make(chan struct{}), synced: make(chan struct{}),
	}, nil
}

// ErrVanish, as the cause of the end of Run's context (context.WithCancelCause),
// makes the node vanish without a goodbye, as a process does that is killed: the
// others find out by themselves. It is for demos and tests of faults.
var ErrVanish = errors.New("cluster: vanish without a goodbye")

var errRanBefore = errors.New("cluster: Run was called before: an incarnation runs once")

// Run is a member until ctx ends, then says goodbye (at most Config.LeaveTimeout)
// and returns nil with everything closed and ended. It returns an error, with
// Started never closed, when the address cannot be bound. It can be called once.
func (c *Cluster) Run(ctx context.Context) error {
	if c.ran.Swap(true) {
		return errRanBefore
	}
	defer c.logs.closed.Store(true)
	defer c.hub.close()
	g, err := startGossip(ctx, &c.cfg, delegate{self: c.self, inbox: c.inbox}, c.logs, c.reach)
	if err != nil {
		return err
	}
	addr := g.addr()
	c.addr.Store(&addr)

	k := &keeper{
		inbox: c.inbox, hub: c.hub, logs: c.logs, doubleAfter: c.cfg.DoubleAfter,
		markSynced: make(chan struct{}, 1), synced: c.synced, flushes: make(chan chan struct{}),
		table: newTable(c.cfg.GoneLimit),
	}
	r := &rejoiner{
		cfg: &c.cfg, own: g.bound, self: addr, view: c.View, lookup: lookup, dial: g.join,
		synced: func() { token(k.markSynced) }, logs: c.logs,
	}
	var work, keep sync.WaitGroup
	keepCtx, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopKeeping()
	keep.Go(func() { k.run(keepCtx) })
	close(c.started)
	work.Go(func() {
		c.self.announce(ctx, c.cfg.LoadInterval, func() { g.tell(0) })
	})
	work.Go(func() { r.run(ctx) })
	giveUp := time.AfterFunc(c.cfg.SyncedTimeout, func() { token(k.markSynced) })

	<-ctx.Done()
	giveUp.Stop()
	g.transport.stopDials()
	work.Wait()
	if !errors.Is(context.Cause(ctx), ErrVanish) {
		c.goodbye(g, k)
	}
	err = g.stop()
	stopKeeping()
	keep.Wait()
	return err
}

// settleShare is the part of LeaveTimeout, one in so many, that streams which others
// hold open can take from the goodbye.
const settleShare = 4

// goodbye announces Leaving, so that the others take what follows for a departure
// and not for a failure, and departs.
func (c *Cluster) goodbye(g *gossip, k *keeper) {
	deadline := time.Now().Add(c.cfg.LeaveTimeout)
	c.logs.leaving.Store(true)
	c.SetState(Leaving)
	// From here on, who exchanges state with this node hears that it is leaving. Who
	// has begun already may have heard that it is up, and is itself not known here
	// before the exchange ends: without the wait it would get no goodbye.
	g.tell(0)
	g.transport.settle(c.cfg.LeaveTimeout / settleShare)
	k.flush()
	others := c.View().liveAddrs()
	delete(others, g.addr())
	g.bid(c.self.node.wire(), slices.Collect(maps.Keys(others)))
	// Also when it was announced before: the departure takes the place of news that
	// has not gone out yet.
	g.tell(time.Until(deadline))
	if err := g.leave(time.Until(deadline)); err != nil {
		level := zapcore.WarnLevel
		if !c.stayed() {
			level = zapcore.DebugLevel // nobody is left who would have to hear it
		}
		c.logs.line(lineWarn, level, fmt.Sprintf("goodbye was cut short: %v", err))
	}
}

// stayed tells whether another node is there that is not about to go itself.
func (c *Cluster) stayed() bool {
	return slices.ContainsFunc(c.View().Nodes, func(n Node) bool { return n.Addr != c.Addr() && n.State == Up })
}

// Started is closed when the gossip address is bound: Addr is valid from then on.
func (c *Cluster) Started() <-chan struct{} { return c.started }

// Addr is the gossip address as others see it, "ip:port"; empty before Started.
func (c *Cluster) Addr() string {
	if addr := c.addr.Load(); addr != nil {
		return *addr
	}
	return ""
}

// Synced is closed when this node knows the cluster as well as it can for a start:
// View then holds all that the first node reached knew. It is closed also when
// there is nobody to join, and after Config.SyncedTimeout when nobody on the join
// list answered, with a view that may hold this node alone. So it says that waiting
// longer is of no use, not that the view is complete: an incarnation that is in no
// view is unknown, never dead.
func (c *Cluster) Synced() <-chan struct{} { return c.synced }

// View is the latest snapshot; empty before Started.
func (c *Cluster) View() *View { return c.hub.current() }

// Watch returns a channel that holds the current view at once and each later one
// when it comes. Who reads slowly misses the views in between and finds the latest;
// the gossip never waits. The channel is closed when ctx or Run ends.
func (c *Cluster) Watch(ctx context.Context) <-chan *View { return c.hub.watch(ctx) }

// SetLoad tells the others, at most once in Config.LoadInterval and only when it
// changes, how many sessions this node holds.
func (c *Cluster) SetLoad(sessions int) {
	c.self.set(func(s *saying) { s.load = max(sessions, 0) })
}

// SetState tells the others at once that this node is Leaving, or Up again. The
// other states are not a node's own to set, and are ignored. Run sets Leaving by
// itself before it departs.
func (c *Cluster) SetState(state State) {
	if state.Live() {
		c.self.set(func(s *saying) { s.state = state })
	}
}

// Stats returns the counters.
func (c *Cluster) Stats() Stats { return c.count.snapshot() }

func lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// token puts a token into ch unless one is there.
func token(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
