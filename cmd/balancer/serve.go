package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/oklog/run"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/balancer"
	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/admin"
	"github.com/halleycomet/halley/internal/cli"
	"github.com/halleycomet/halley/internal/sticky"
)

func serveCommand() cli.Command {
	return cli.Command{
		Name:       "serve",
		Brief:      "Runs a balancer.",
		ConfigFile: true,
		Declare: func(s *cli.Settings) cli.Action {
			set := declareServe(s)
			return cli.Action{Check: set.check, Run: func(ctx context.Context, call cli.Call) error {
				log := cli.NewLogger(call.Stderr, *set.logLevel)
				defer log.Sync()
				n, err := assemble(set, log)
				if err != nil {
					return err
				}
				return n.run(ctx)
			}}
		},
	}
}

// node is a balancer with everything around it. The parts are made in this order,
// each knowing those before it:
//
//	1 listener     clients come in here
//	    │
//	    │  2 members    gossip: which comets there are (with gossip only)
//	    │      │ views
//	    ▼      ▼
//	3 balancer ──▶ comets
//	    │
//	4 admin        health, readiness, metrics, the comets (with --admin only)
type node struct {
	set *settings
	log *zap.Logger

	listener      net.Listener
	members       *cluster.Cluster // nil without gossip
	balancer      *balancer.Balancer
	admin         *admin.Admin // nil without an admin address
	adminListener net.Listener
}

// assemble makes the parts. Of what they do, only the listening has begun.
func assemble(set *settings, log *zap.Logger) (*node, error) {
	n := &node{set: set, log: log}
	if err := n.makeParts(); err != nil {
		n.closeListeners()
		return nil, err
	}
	return n, nil
}

func (n *node) makeParts() (err error) {
	if n.listener, err = cli.Listen("listen", n.set.listen); err != nil {
		return err
	}
	if n.set.admin != "" {
		if n.adminListener, err = cli.Listen("admin", n.set.admin); err != nil {
			return err
		}
	}
	if err = n.makeMembers(); err != nil {
		return err
	}
	cfg := n.set.balancer
	cfg.Log = n.log
	var members balancer.Members
	if n.members != nil {
		members = n.members
	}
	if n.balancer, err = balancer.New(cfg, members); err != nil {
		return err
	}
	if n.set.admin != "" {
		n.admin = admin.New(admin.Config{
			Token: n.set.adminToken, Ready: n.ready, Metrics: n.metrics(),
			JSON: map[string]func() any{"/comets": func() any { return n.balancer.Comets() }},
		})
	}
	return nil
}

func (n *node) makeMembers() (err error) {
	if !n.set.gossips() {
		return nil
	}
	cfg := n.set.member(string(sticky.NewTag()))
	cfg.Log = n.log
	if cfg.Bind, err = cli.NodeAddr(cfg.Bind); err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	if cfg.Advertise == "" && cli.Unspecified(cfg.Bind) {
		if cfg.Advertise, err = cli.ReachableAddr(cfg.Bind); err != nil {
			return fmt.Errorf("gossip-advertise: %w", err)
		}
	}
	n.members, err = cluster.New(cfg)
	return err
}

func (n *node) closeListeners() {
	for _, ln := range []net.Listener{n.listener, n.adminListener} {
		if ln != nil {
			ln.Close()
		}
	}
}

func (n *node) metrics() prometheus.Gatherer {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registry.MustRegister(n.balancer.Collectors()...)
	if n.members != nil {
		registry.MustRegister(n.members.Collector())
	}
	return registry
}

func (n *node) ready() error {
	if !n.balancer.Ready() {
		return errors.New("the comets are not known yet")
	}
	return nil
}

// run runs the parts until ctx ends or one of them fails.
func (n *node) run(ctx context.Context) error {
	defer n.closeListeners()
	var g run.Group
	add := func(name string, run func(context.Context) error) {
		execute, interrupt := cli.Actor(run)
		g.Add(func() error {
			if err := execute(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		}, interrupt)
	}
	add("signal", func(stopped context.Context) error {
		select {
		case <-ctx.Done():
			n.log.Info("leaving", zap.NamedError("cause", context.Cause(ctx)))
		case <-stopped.Done():
		}
		return nil
	})
	if n.members != nil {
		add("gossip", n.members.Run)
	}
	add("comets", n.balancer.Run)
	add("listen", func(ctx context.Context) error { return n.balancer.Serve(ctx, n.listener) })
	if n.admin != nil {
		add("admin", func(ctx context.Context) error { return n.admin.Serve(ctx, n.adminListener) })
	}
	add("announce", n.announce)
	return g.Run()
}

// announce tells which addresses were got, once they are, and waits for ctx to end.
func (n *node) announce(ctx context.Context) error {
	ports := cli.Ports{Listen: n.listener.Addr().String()}
	if n.adminListener != nil {
		ports.Admin = n.adminListener.Addr().String()
	}
	if n.members != nil {
		select {
		case <-n.members.Started():
			ports.Gossip = n.members.Addr()
		case <-ctx.Done():
			return nil
		}
	}
	if n.set.portFile != "" {
		if err := ports.WriteFile(n.set.portFile); err != nil {
			return err
		}
	}
	n.log.Info("listening", zap.String("listen", ports.Listen), zap.String("admin", ports.Admin), zap.String("gossip", ports.Gossip),
		zap.String("path", n.set.balancer.Path), zap.Strings("comets", n.set.balancer.Comets))
	<-ctx.Done()
	return nil
}
