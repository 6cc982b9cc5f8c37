package main

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/cluster/oort"
	"github.com/halleycomet/halley/comet"
	"github.com/halleycomet/halley/comet/access"
	"github.com/halleycomet/halley/internal/admin"
	"github.com/halleycomet/halley/internal/cli"
	"github.com/halleycomet/halley/internal/node"
	"github.com/halleycomet/halley/internal/sticky"
	"github.com/halleycomet/halley/internal/tlsfiles"
)

// process is a comet with everything around it. The parts are made in this order,
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
//	  with TLS the listener's certificate comes between 1 and 2
//
//	5 admin        health, readiness, metrics of all of them (with --admin only)
type process struct {
	set   *settings
	log   *zap.Logger
	level zap.AtomicLevel // of log

	listeners node.Listeners
	clients   net.Listener   // listeners.Listen, with TLS where there is a certificate
	pair      *tlsfiles.Pair // nil without TLS
	url       string
	members   *cluster.Cluster // nil without gossip
	server    *comet.Server
	policy    *access.Policy // nil: everybody may do everything
	cloud     *oort.Cloud    // nil outside a cloud
	admin     *admin.Admin   // nil without an admin address

	leaving chan struct{} // closed when the node begins to leave
	unready func()        // closes it
}

// assemble makes the parts. Of what they do, only the listening has begun.
func assemble(set *settings, log *zap.Logger, level zap.AtomicLevel) (*process, error) {
	n := &process{set: set, log: log, level: level, leaving: make(chan struct{})}
	n.unready = sync.OnceFunc(func() { close(n.leaving) })
	if err := n.makeParts(); err != nil {
		n.listeners.Close()
		return nil, err
	}
	return n, nil
}

func (n *process) makeParts() (err error) {
	if n.listeners, err = n.set.Bind(); err != nil {
		return err
	}
	if err = n.makeSecurity(); err != nil {
		return err
	}
	if n.url, err = ownURL(n.set, n.listeners.Listen.Addr()); err != nil {
		return err
	}
	tag := sticky.NewTag()
	n.set.Cluster.LeaveTimeout = n.set.goodbye(n.set.Cluster.LeaveTimeout)
	if n.members, err = n.set.Member(cluster.RoleComet, string(tag), n.url, n.log); err != nil {
		return err
	}
	cfg := n.set.comet
	cfg.Name, cfg.Tag, cfg.Log = n.set.Name, tag, n.log
	cfg.ShutdownTimeout = n.set.goodbye(cfg.ShutdownTimeout)
	if n.server, err = comet.New(cfg); err != nil {
		return err
	}
	n.set.extra.install(n.server)
	if err = n.makePolicy(); err != nil {
		return err
	}
	if err = n.makeCloud(); err != nil {
		return err
	}
	if n.listeners.Admin != nil {
		n.admin = admin.New(admin.Config{
			Token: n.set.AdminToken, Ready: n.ready, Metrics: n.metrics(), Queries: n.queries(), LogLevel: &n.level,
		})
	}
	return nil
}

func (n *process) makeCloud() (err error) {
	if !n.set.clouded() {
		return nil
	}
	cfg := n.set.oort
	cfg.URL, cfg.Log = n.url, n.log
	if cfg.TLS, err = tlsfiles.Client(n.set.security.oortCA); err != nil {
		return fmt.Errorf("oort-ca-file: %w", err)
	}
	cfg.LeaveTimeout = n.set.goodbye(cfg.LeaveTimeout)
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

func (n *process) metrics() prometheus.Gatherer {
	registry := prometheus.NewRegistry()
	registry.MustRegister(n.server.Collector(), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if n.pair != nil {
		registry.MustRegister(n.pair.Collector())
	}
	if n.policy != nil {
		registry.MustRegister(n.policy.Collector())
	}
	if n.cloud != nil {
		registry.MustRegister(n.cloud.Collector())
	}
	if n.members != nil {
		registry.MustRegister(n.members.Collector())
	}
	return registry
}

// ready says why this node should get no new clients yet, or no more.
func (n *process) ready() error {
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
	return set.security.scheme() + "://" + addr + set.comet.Path, nil
}
