package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/halleycomet/halley/cluster"
)

// gossip is the balancer's membership, which it can leave for a while, so that its
// successor can have the address. Meanwhile the last view stands, and the balancer's own
// checks tell what changes.
type gossip struct {
	// Fixed after construction.
	first *cluster.Cluster
	again func() (*cluster.Cluster, error) // a new incarnation
	views chan *cluster.View               // buffer 1: the newest view that was not fetched
	asks  chan chan error                  // for run to leave, or to come back
	knows chan struct{}                    // closed when last has what the first sync brought

	// Safe for any goroutine.
	now  atomic.Pointer[cluster.Cluster]
	last atomic.Pointer[cluster.View]
}

func newGossip(again func() (*cluster.Cluster, error)) (*gossip, error) {
	first, err := again()
	if err != nil {
		return nil, err
	}
	g := &gossip{first: first, again: again, views: make(chan *cluster.View, 1), asks: make(chan chan error), knows: make(chan struct{})}
	g.now.Store(first)
	g.last.Store(first.View())
	return g, nil
}

// View is that of the balancer's Members, as are Watch, which is for one, and Synced.
func (g *gossip) View() *cluster.View                        { return g.last.Load() }
func (g *gossip) Watch(context.Context) <-chan *cluster.View { return g.views }
func (g *gossip) Synced() <-chan struct{}                    { return g.knows }

// run is a member until ctx ends.
func (g *gossip) run(ctx context.Context) error {
	for c := g.first; ; {
		left, err := g.be(ctx, c)
		if left == nil || err != nil {
			return err
		}
		left <- nil
		select {
		case <-ctx.Done():
			return nil
		case back := <-g.asks:
			c, err = g.again()
			back <- err
			if err != nil {
				return fmt.Errorf("gossip again: %w", err)
			}
			g.now.Store(c)
		}
	}
}

// be is a member as c, until ctx ends or somebody asks it to leave: that is returned.
func (g *gossip) be(ctx context.Context, c *cluster.Cluster) (left chan error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	synced, views := c.Synced(), (<-chan *cluster.View)(nil)
	if c == g.first {
		views = c.Watch(ctx)
	}
	for {
		select {
		case err := <-ended:
			return nil, err
		case <-synced:
			synced = nil
			if c != g.first {
				views = c.Watch(ctx) // what it knew before was not all
				break
			}
			// Who is told reads View: what it does not have yet would be missing, and a
			// balancer without comets would think that it knows them all.
			g.publish(c.View())
			close(g.knows)
		case v, ok := <-views:
			if !ok {
				views = nil
				break
			}
			g.publish(v)
		case left := <-g.asks:
			cancel()
			return left, <-ended
		}
	}
}

// publish has v fetched next, in the place of what was not fetched.
func (g *gossip) publish(v *cluster.View) {
	g.last.Store(v)
	select {
	case <-g.views:
	default:
	}
	g.views <- v
}

// leave leaves, and come comes back; both wait until it is done, or ctx ends.
func (g *gossip) leave(ctx context.Context) error { return g.ask(ctx) }
func (g *gossip) come(ctx context.Context) error  { return g.ask(ctx) }

func (g *gossip) ask(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case g.asks <- done:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Describe and Collect are the metrics of the present incarnation.
func (g *gossip) Describe(ch chan<- *prometheus.Desc) { g.first.Collector().Describe(ch) }
func (g *gossip) Collect(ch chan<- prometheus.Metric) { g.now.Load().Collector().Collect(ch) }
