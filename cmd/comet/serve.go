package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/oklog/run"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/cluster/oort"
	"github.com/halleycomet/halley/comet"
	"github.com/halleycomet/halley/internal/cli"
	"github.com/halleycomet/halley/internal/sticky"
)

func serveCommand() cli.Command {
	return cli.Command{
		Name:       "serve",
		Brief:      "Runs a comet.",
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

// node is a comet with everything around it. The parts are made in this order,
// each knowing those before it:
//
//	1 listener     clients, balancers and the links of other comets come in here;
//	    │          it is first, since its port is part of the URL that others are told
//	    │
//	    │  2 members    gossip: who is there (with gossip only)
//	    │      │
//	    │      │ views
//	    ▼      ▼
//	3 server   4 cloud     sessions here ◀─ Deliver ─ links to the other comets
//	    │      ▲           (in a cloud only)
//	    └──────┘ Cloud: handshakes of peers, interest
//	    │
//	    └─ Sessions ─▶ members: the load that balancers see
//
//	5 admin        health, readiness, metrics of all of them (with --admin only)
type node struct {
	set *settings
	log *zap.Logger

	listener      net.Listener
	url           string
	members       *cluster.Cluster // nil without gossip
	server        *comet.Server
	cloud         *oort.Cloud // nil outside a cloud
	admin         *admin      // nil without an admin address
	adminListener net.Listener

	leaving chan struct{} // closed when the node begins to leave
}

// assemble makes the parts. Of what they do, only the listening has begun.
func assemble(set *settings, log *zap.Logger) (*node, error) {
	n := &node{set: set, log: log, leaving: make(chan struct{})}
	if err := n.makeParts(); err != nil {
		n.closeListeners()
		return nil, err
	}
	return n, nil
}

func (n *node) makeParts() (err error) {
	if n.listener, err = listen("listen", n.set.listen); err != nil {
		return err
	}
	if n.set.admin != "" {
		if n.adminListener, err = listen("admin", n.set.admin); err != nil {
			return err
		}
	}
	if n.url, err = ownURL(n.set, n.listener.Addr()); err != nil {
		return err
	}
	tag := sticky.NewTag()
	if err = n.makeMembers(string(tag)); err != nil {
		return err
	}
	cfg := n.set.comet
	cfg.Tag, cfg.Log = tag, n.log
	if n.server, err = comet.New(cfg); err != nil {
		return err
	}
	if err = n.makeCloud(); err != nil {
		return err
	}
	if n.set.admin != "" {
		n.admin = newAdmin(n.set.adminToken, n.metrics(), n.ready)
	}
	return nil
}

func (n *node) closeListeners() {
	for _, ln := range []net.Listener{n.listener, n.adminListener} {
		if ln != nil {
			ln.Close()
		}
	}
}

func (n *node) makeMembers(tag string) (err error) {
	if !n.set.gossips() {
		return nil
	}
	cfg := n.set.member(n.url, tag)
	cfg.Log = n.log
	if cfg.Bind, err = cli.NodeAddr(cfg.Bind); err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	if cfg.Advertise == "" && unspecified(cfg.Bind) {
		if cfg.Advertise, err = cli.ReachableAddr(cfg.Bind); err != nil {
			return fmt.Errorf("gossip-advertise: %w", err)
		}
	}
	n.members, err = cluster.New(cfg)
	return err
}

func (n *node) makeCloud() (err error) {
	if !n.set.clouded() {
		return nil
	}
	cfg := n.set.oort
	cfg.URL, cfg.Log = n.url, n.log
	if cfg.Secret == "" {
		cfg.Secret = loopbackSecret
	}
	var members oort.Members
	if n.members != nil {
		members = n.members
	}
	if n.cloud, err = oort.New(cfg, members, n.server); err != nil {
		return err
	}
	n.server.SetCloud(n.cloud)
	return nil
}

func (n *node) metrics() prometheus.Gatherer {
	registry := prometheus.NewRegistry()
	registry.MustRegister(n.server.Collector(), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if n.cloud != nil {
		registry.MustRegister(n.cloud.Collector())
	}
	if n.members != nil {
		registry.MustRegister(membership{n.members})
	}
	return registry
}

// ready says why this node should get no new clients yet, or no more.
func (n *node) ready() error {
	select {
	case <-n.leaving:
		return errors.New("leaving")
	default:
	}
	if n.members != nil {
		select {
		case <-n.members.Synced():
		default:
			return errors.New("the gossip has not told yet who is there")
		}
	}
	return nil
}

// run runs the parts until ctx ends or one of them fails, then leaves in order:
// goodbye on the links and to the gossip, both at the same time, and only then
// the end of the server, so that the others know before its clients are sent
// away.
func (n *node) run(ctx context.Context) error {
	defer n.closeListeners()
	serving, stopServing := context.WithCancel(context.Background())
	defer stopServing()
	linked, sayGoodbye := context.WithCancel(context.Background())
	defer sayGoodbye()
	leave := sync.OnceFunc(func() {
		close(n.leaving)
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
	add(part{"listen", func(ctx context.Context) error { return n.server.Serve(ctx, n.listener) }}, serving)
	if n.admin != nil {
		add(part{"admin", func(ctx context.Context) error { return n.admin.serve(ctx, n.adminListener) }}, serving)
	}
	add(part{"order", func(leaving context.Context) error {
		select {
		case <-ctx.Done():
			n.log.Info("leaving", zap.NamedError("cause", context.Cause(ctx)))
			leave()
		case <-leaving.Done():
		}
		goodbyes.Wait()
		stopServing()
		return nil
	}}, linked)
	return g.Run()
}

// part is something that runs as long as the node does. A failure is told under
// its name, which is that of the setting that can mend it, where there is one.
type part struct {
	name string
	run  func(context.Context) error
}

// talkers are the parts that say goodbye at their end.
func (n *node) talkers() []part {
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
		zap.String("url", n.url), zap.String("name", n.set.comet.Name), zap.String("tag", string(n.server.Tag())), zap.Bool("cloud", n.cloud != nil))

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

// listen binds the address of a setting.
func listen(setting, addr string) (net.Listener, error) {
	addr, err := cli.NodeAddr(addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return ln, nil
}

// ownURL is how other comets reach the address that was bound.
func ownURL(set *settings, bound net.Addr) (string, error) {
	if set.url != "" {
		return set.url, nil
	}
	addr, err := cli.ReachableAddr(bound.String())
	if err != nil {
		return "", fmt.Errorf("url: cannot be made from listen: %w", err)
	}
	return "http://" + addr + set.comet.Path, nil
}
