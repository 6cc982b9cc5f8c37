package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/oklog/run"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/cli"
)

func serveCommand() cli.Command {
	return cli.Command{
		Name:       "serve",
		Brief:      "Runs a comet.",
		ConfigFile: true,
		Declare: func(s *cli.Settings) cli.Action {
			set := declareServe(s)
			return cli.Action{Check: set.check, Run: func(ctx context.Context, call cli.Call) error {
				log, level := cli.NewLoggerAt(call.Stderr, *set.LogLevel)
				defer log.Sync()
				n, err := assemble(set, log, level)
				if err != nil {
					return err
				}
				return n.run(ctx)
			}}
		},
	}
}

// run runs the parts until ctx ends or one of them fails. In the first case it leaves
// in order: the gossip says that it is leaving, its clients are sent away, then it
// says goodbye on the links and to the gossip, both at the same time, and only then
// the server ends. In the second it leaves at once.
func (n *process) run(ctx context.Context) error {
	defer n.listeners.Close()
	late := make(chan struct{})
	defer context.AfterFunc(ctx, func() { time.AfterFunc(n.set.drain, func() { close(late) }) })()
	ended := make(chan error, 1)
	go func() { ended <- n.runParts(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-late:
		return fmt.Errorf("drain-timeout: not ended %v after the signal", n.set.drain)
	}
}

func (n *process) runParts(ctx context.Context) error {
	serving, stopServing := context.WithCancel(context.Background())
	defer stopServing()
	linked, sayGoodbye := context.WithCancel(context.Background())
	defer sayGoodbye()
	leave := sync.OnceFunc(func() {
		n.unready()
		n.server.Leave()
		sayGoodbye()
	})

	var g run.Group
	var goodbyes sync.WaitGroup
	add := func(p part, ctx context.Context) {
		g.Add(func() error {
			if err := p.run(ctx); err != nil {
				// The group tells of the first only.
				n.log.Error("part ended", zap.String("part", p.name), zap.Error(err))
				return fmt.Errorf("%s: %w", p.name, err)
			}
			return nil
		}, func(error) { leave() })
	}
	for _, p := range n.talkers() {
		goodbyes.Add(1)
		add(part{p.name, func(ctx context.Context) error {
			defer goodbyes.Done()
			return p.run(ctx)
		}}, linked)
	}
	add(part{"announce", n.announce}, linked)
	add(part{"listen", func(ctx context.Context) error { return n.server.Serve(ctx, n.clients) }}, serving)
	for _, p := range n.keepers() {
		add(p, serving)
	}
	if n.admin != nil {
		add(part{"admin", func(ctx context.Context) error { return n.admin.Serve(ctx, n.listeners.Admin) }}, serving)
	}
	add(part{"order", func(leaving context.Context) error {
		select {
		case <-ctx.Done():
			n.log.Info("leaving", zap.NamedError("cause", context.Cause(ctx)))
			n.drain(leaving)
			leave()
		case <-leaving.Done():
		}
		goodbyes.Wait()
		stopServing()
		return nil
	}}, linked)
	return g.Run()
}

// drainShare is the part of the time for leaving in which clients are sent away; the
// rest is for the goodbyes and for what is still being written.
const drainShare = 0.6

// gossipPause is how long clients are served as before when the gossip has been told
// that this node leaves. A balancer that has not heard of it could bring a client back
// that was sent away, to be refused and to wait before it tries again.
const gossipPause = 300 * time.Millisecond

// drain sends the clients away, after the balancers have been told to bring no new
// ones. A part that ends by itself ends it too.
func (n *process) drain(leaving context.Context) {
	n.unready()
	ctx, cancel := context.WithTimeout(leaving, time.Duration(drainShare*float64(n.set.drain)))
	defer cancel()
	if n.members != nil {
		n.members.SetState(cluster.Leaving)
		if n.server.Sessions() > 0 {
			heard := time.NewTimer(gossipPause)
			defer heard.Stop()
			select {
			case <-heard.C:
			case <-ctx.Done():
			}
		}
	}
	n.server.Drain(ctx)
}

// part is something that runs as long as the node does. A failure is told under
// its name, which is that of the setting that can mend it, where there is one.
type part struct {
	name string
	run  func(context.Context) error
}

// talkers are the parts that say goodbye at their end.
func (n *process) talkers() []part {
	var parts []part
	if n.members != nil {
		parts = append(parts, part{"gossip", n.members.Run})
	}
	if n.cloud != nil {
		parts = append(parts, part{"oort", n.cloud.Run})
	}
	return parts
}

// loadPeriod is how often the gossip is told the number of sessions. It goes out
// when it has changed, and less often than that.
const loadPeriod = 250 * time.Millisecond

// announce tells which addresses were got, once they are, and from then on the
// load, until ctx ends.
func (n *process) announce(ctx context.Context) error {
	err := n.set.Announce(ctx, n.listeners, n.members, n.log,
		zap.String("url", n.url), zap.String("tag", string(n.server.Tag())), zap.Bool("cloud", n.cloud != nil))
	if err != nil {
		return err
	}
	tick := time.NewTicker(loadPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if n.members != nil {
				n.members.SetLoad(n.server.Sessions())
			}
		}
	}
}
