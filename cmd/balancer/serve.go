package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/oklog/run"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/balancer"
	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/admin"
	"github.com/halleycomet/halley/internal/cli"
	"github.com/halleycomet/halley/internal/handover"
	"github.com/halleycomet/halley/internal/node"
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
				log, level := cli.NewLoggerAt(call.Stderr, *set.LogLevel)
				defer log.Sync()
				hangs := make(chan os.Signal, 1)
				signal.Notify(hangs, syscall.SIGHUP)
				defer signal.Stop(hangs)
				n, err := assemble(set, log, level, call, hangs)
				if err != nil {
					return err
				}
				return n.run(ctx)
			}}
		},
	}
}

// process is a balancer with everything around it. The parts are made in this order,
// each knowing those before it:
//
//	1 listener     clients come in here
//	    │
//	    │  2 members    gossip: which comets there are (with gossip only)
//	    │      │ views
//	    ▼      ▼
//	3 balancer ──▶ comets
//	    │
//	4 reloader     reads the settings again, at SIGHUP and when their file has changed
//	    │
//	5 admin        health, readiness, metrics, the comets (with --admin only)
type process struct {
	set   *settings
	log   *zap.Logger
	level zap.AtomicLevel // of log

	listeners   node.Listeners
	predecessor *handover.Predecessor // from whom they come; nil: from nobody
	serving     chan struct{}         // closed when this process accepts connections
	left        atomic.Bool           // to a successor
	members     *gossip               // nil without gossip
	balancer    *balancer.Balancer
	reloader    *reloader
	admin       *admin.Admin // nil without an admin address
}

// assemble makes the parts. Of what they do, only the listening has begun.
func assemble(set *settings, log *zap.Logger, level zap.AtomicLevel, call cli.Call, hangs chan os.Signal) (*process, error) {
	n := &process{set: set, log: log, level: level, serving: make(chan struct{})}
	if err := n.makeParts(call, hangs); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func (n *process) makeParts(call cli.Call, hangs chan os.Signal) (err error) {
	if err = n.bind(); err != nil {
		return err
	}
	if n.set.Gossips() {
		n.members, err = newGossip(func() (*cluster.Cluster, error) {
			return n.set.Member(cluster.RoleBalancer, string(sticky.NewTag()), "", n.log)
		})
		if err != nil {
			return err
		}
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
	n.reloader = newReloader(n, call, hangs)
	if n.listeners.Admin != nil {
		n.admin = admin.New(admin.Config{
			Token: n.set.AdminToken, Ready: n.ready, Metrics: n.metrics(), LogLevel: &n.level,
			JSON:    map[string]func() any{"/comets": func() any { return n.balancer.Comets() }},
			Actions: drainActions(n.balancer),
		})
	}
	return nil
}

func (n *process) metrics() prometheus.Gatherer {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registry.MustRegister(n.balancer.Collectors()...)
	registry.MustRegister(n.reloader.collectors()...)
	if n.members != nil {
		registry.MustRegister(n.members)
	}
	return registry
}

func (n *process) ready() error {
	if !n.balancer.Ready() {
		return errors.New("the comets are not known yet")
	}
	return nil
}

// run runs the parts until ctx ends or one of them fails.
func (n *process) run(ctx context.Context) error {
	defer n.close()
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
		add("gossip", n.joinGossip)
	}
	add("comets", n.balancer.Run)
	add("reload", n.reloader.run)
	add("listen", func(ctx context.Context) error {
		if err := n.enter(ctx); err != nil {
			return err
		}
		return n.balancer.ServeListeners(ctx, nil, n.entrances()...)
	})
	if n.admin != nil {
		add("admin", n.entered(func(ctx context.Context) error { return n.admin.Serve(ctx, n.listeners.Admin) }))
	}
	add("announce", n.entered(n.announce))
	if n.set.HandoverSocket != "" {
		add("handover", n.entered(n.offer))
	}
	if err := g.Run(); !errors.Is(err, balancer.ErrHandedOver) {
		return err
	}
	return nil
}

// entrances are the listeners for clients.
func (n *process) entrances() (all []balancer.Listener) {
	if n.listeners.Listen != nil {
		all = append(all, balancer.Listener{Listener: n.listeners.Listen})
	}
	if n.listeners.TLS != nil {
		all = append(all, balancer.Listener{Listener: n.listeners.TLS, TLS: true})
	}
	return all
}

// announce tells where the balancer listens, and waits for ctx to end.
func (n *process) announce(ctx context.Context) error {
	var members *cluster.Cluster
	if n.members != nil {
		members = n.members.first
	}
	b := &n.set.balancer
	more := []zap.Field{zap.String("path", b.Path)}
	if len(b.Comets) > 0 {
		more = append(more, zap.Strings("comets", b.Comets))
	}
	if file := b.Discovery.CometsFile; file != "" {
		more = append(more, zap.String("comets_file", file))
	}
	if err := n.set.Announce(ctx, n.listeners, members, n.log, more...); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
