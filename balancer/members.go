package balancer

import (
	"context"

	"github.com/halleycomet/halley/cluster"
)

// Members is what the balancer wants of the gossip; *cluster.Cluster has it.
type Members interface {
	// View is the membership now. Nobody changes a view.
	View() *cluster.View
	// Watch gives the view now and each later one, until ctx ends; those that come
	// faster than they are fetched may be skipped.
	Watch(ctx context.Context) <-chan *cluster.View
	// Synced is closed once the membership has been learnt from others, or there is
	// nobody to learn it from.
	Synced() <-chan struct{}
}
