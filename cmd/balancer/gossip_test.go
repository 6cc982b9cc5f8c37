package main

import (
	"context"
	"testing"
	"time"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/sticky"
)

// Whoever is told that the gossip is known finds the others in View: a balancer that
// took an empty one for the whole would be ready without comets.
func TestViewIsThereWhenSynced(t *testing.T) {
	member := func(name string, role cluster.Role, join ...string) *cluster.Cluster {
		cfg := cluster.DefaultConfig()
		cfg.Name, cfg.Tag, cfg.Role = name, string(sticky.NewTag()), role
		cfg.Bind, cfg.Join = "127.0.0.1:0", join
		if role == cluster.RoleComet {
			cfg.URL = "http://127.0.0.1:8081/cometd"
		}
		c, err := cluster.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	run := func(run func(context.Context) error) {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { defer close(ended); run(ctx) }()
		t.Cleanup(func() { cancel(); <-ended })
	}
	a := member("a", cluster.RoleComet)
	run(a.Run)
	<-a.Started()
	for range 5 {
		g, err := newGossip(func() (*cluster.Cluster, error) {
			return member("b", cluster.RoleBalancer, a.Addr()), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		run(g.run)
		select {
		case <-g.Synced():
		case <-time.After(10 * time.Second):
			t.Fatal("not synced")
		}
		if v := g.View(); len(v.Nodes) < 2 {
			t.Fatalf("synced with %d nodes", len(v.Nodes))
		}
	}
}
