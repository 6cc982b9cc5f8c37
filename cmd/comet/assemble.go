package main

import (
	"errors"
	"fmt"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/cluster/oort"
	"github.com/halleycomet/halley/comet"
	"github.com/halleycomet/halley/internal/admin"
	"github.com/halleycomet/halley/internal/cli"
	"github.com/halleycomet/halley/internal/sticky"
)

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
	cloud         *oort.Cloud  // nil outside a cloud
	admin         *admin.Admin // nil without an admin address
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
	if n.listener, err = cli.Listen("listen", n.set.listen); err != nil {
		return err
	}
	if n.set.admin != "" {
		if n.adminListener, err = cli.Listen("admin", n.set.admin); err != nil {
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
		n.admin = admin.New(admin.Config{Token: n.set.adminToken, Ready: n.ready, Metrics: n.metrics()})
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
	if cfg.Advertise == "" && cli.Unspecified(cfg.Bind) {
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
		registry.MustRegister(n.members.Collector())
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
