package cluster_test

import (
	"context"
	"fmt"

	"github.com/halleycomet/halley/cluster"
)

// A comet and a balancer find each other; the comet leaves in order.
func Example() {
	cfg := cluster.DefaultConfig()
	cfg.Name, cfg.Tag, cfg.Role = "comet-1", "x7Kq02Ab", cluster.RoleComet
	cfg.URL, cfg.Bind = "http://127.0.0.1:8081/cometd", "127.0.0.1:0"
	comet, stopComet := run(cfg)

	cfg = cluster.DefaultConfig()
	cfg.Name, cfg.Tag, cfg.Role = "balancer-1", "p0Wd93Zs", cluster.RoleBalancer
	cfg.Bind, cfg.Join = "127.0.0.1:0", []string{comet.Addr()}
	balancer, stopBalancer := run(cfg)
	defer stopBalancer()

	<-balancer.Synced()
	show(balancer.View())
	stopComet()
	for view := range balancer.Watch(context.Background()) {
		if !view.Nodes[1].State.Live() { // left, or failed where its goodbye was lost
			show(view)
			break
		}
	}
	// Output:
	// balancer-1 up
	// comet-1 up
	// balancer-1 up
	// comet-1 left
}

// run starts a node; stop returns when nothing of it is left.
func run(cfg cluster.Config) (c *cluster.Cluster, stop func()) {
	c, err := cluster.New(cfg)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	<-c.Started()
	return c, func() {
		cancel()
		if err := <-done; err != nil {
			panic(err)
		}
	}
}

func show(view *cluster.View) {
	for _, n := range view.Nodes {
		fmt.Println(n.Name, n.State)
	}
}
