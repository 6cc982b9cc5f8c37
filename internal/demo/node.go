package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/oklog/run"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/cluster/oort"
	"github.com/halleycomet/halley/comet"
	"github.com/halleycomet/halley/internal/sticky"
)

// errVanish ends the life of a comet that is stopped as if it were killed.
var errVanish = fmt.Errorf("stopped by a button: %w", cluster.ErrVanish)

// node is one comet of the demo. It can be stopped and started again, under the
// same name and each time at a new address.
type node struct {
	// Fixed after construction.
	name    string
	log     *zap.Logger
	origins []string
	join    func() []string // gossip addresses of the others
	secrets secrets

	mu   sync.Mutex
	life *life // guarded by mu; nil while the comet is stopped
}

// life is one incarnation of a comet.
type life struct {
	tag     sticky.Tag
	url     string
	members *cluster.Cluster
	server  *comet.Server
	cloud   *oort.Cloud
	cutter  *cutter
	listen  net.Listener
	cancel  context.CancelCauseFunc
	ended   chan struct{}
}

var (
	errRunning = errors.New("it is running")
	errStopped = errors.New("it is stopped")
)

// start begins a new life, which ends with ctx, or when stop is called.
func (n *node) start(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.life != nil {
		return errRunning
	}
	l, err := n.build()
	if err != nil {
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	ctx, l.cancel = context.WithCancelCause(ctx)
	n.life = l
	go func() {
		defer close(l.ended)
		if err := l.run(ctx); err != nil {
			n.log.Error("comet ended", zap.String("comet", n.name), zap.Error(err))
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.life == l {
			n.life = nil
		}
	}()
	return nil
}

// stop ends the life of the comet abruptly: nobody is told.
func (n *node) stop() error {
	n.mu.Lock()
	l := n.life
	n.life = nil
	n.mu.Unlock()
	if l == nil {
		return errStopped
	}
	// The cause must stand before anything ends by itself for want of a listener.
	l.cutter.cut(func() { l.cancel(errVanish) })
	<-l.ended
	return nil
}

// wait returns when the life that is running, if any, has ended.
func (n *node) wait() {
	if l := n.current(); l != nil {
		<-l.ended
	}
}

func (n *node) current() *life {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.life
}

// build makes the parts of a comet, from the socket up:
//
//	listener ─ cutter ─┬─ comet.Server ──┐
//	                   └─ oort.Cloud ────┤ the links of this comet
//	                      cluster.Cluster┘ who else is there
func (n *node) build() (*life, error) {
	l := &life{tag: sticky.NewTag(), cutter: newCutter(), ended: make(chan struct{})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l.listen = l.cutter.listen(listener)
	l.url = "http://" + listener.Addr().String() + Path
	if err := n.assemble(l); err != nil {
		listener.Close()
		return nil, err
	}
	return l, nil
}

func (n *node) assemble(l *life) (err error) {
	log := n.log.With(zap.String("comet", n.name))

	members := cluster.DefaultConfig()
	members.Name, members.Tag, members.Role, members.URL = n.name, string(l.tag), cluster.RoleComet, l.url
	members.Bind, members.Join, members.Keys, members.Log = "127.0.0.1:0", n.join(), n.secrets.keys(), log
	members.LeaveTimeout = leaveTimeout
	if l.members, err = cluster.New(members); err != nil {
		return err
	}

	cfg := comet.DefaultConfig()
	cfg.Name, cfg.Tag, cfg.Path, cfg.Origins, cfg.Log = n.name, l.tag, Path, n.origins, log
	if l.server, err = comet.New(cfg); err != nil {
		return err
	}

	links := oort.DefaultConfig()
	links.URL, links.Secret, links.Dial, links.Log = l.url, n.secrets.oort, l.cutter.dial, log
	if l.cloud, err = oort.New(links, l.members, l.server); err != nil {
		return err
	}
	l.server.SetCloud(l.cloud)
	return nil
}

// run owns everything that this life runs, until ctx ends.
func (l *life) run(ctx context.Context) error {
	var g run.Group
	add := func(run func(context.Context) error) {
		ctx, cancel := context.WithCancel(ctx)
		g.Add(func() error { return run(ctx) }, func(error) { cancel() })
	}
	add(func(ctx context.Context) error { <-ctx.Done(); return nil })
	add(l.members.Run)
	add(l.cloud.Run)
	add(func(ctx context.Context) error { return l.server.Serve(ctx, l.listen) })
	add(l.tellLoad)
	return g.Run()
}

// tellLoad gossips how many sessions there are, for the balancer's choice.
func (l *life) tellLoad(ctx context.Context) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			l.members.SetLoad(l.server.Sessions())
		}
	}
}
