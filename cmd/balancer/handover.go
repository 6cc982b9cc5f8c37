package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"go.uber.org/zap"

	"github.com/halleycomet/halley/balancer"
	"github.com/halleycomet/halley/internal/cli"
	"github.com/halleycomet/halley/internal/handover"
	"github.com/halleycomet/halley/internal/node"
)

// declareHandover binds where the listening sockets are handed over.
func declareHandover(s *cli.Settings, set *settings) {
	s.String(&set.HandoverSocket, "handover-socket", "FILE", "A Unix socket. A balancer that is started takes the listening sockets over from the one that runs there, which then lets its clients go: so a restart refuses no connection. Empty: none.").Made()
}

// maxSocketPath is how long the path of a Unix socket can be, less what is added to it.
const maxSocketPath = 90

// checkHandover reports a path that cannot be one of a socket.
func (s *settings) checkHandover(r *cli.Report) {
	if n := len(s.HandoverSocket); n > maxSocketPath {
		r.Add("handover-socket", fmt.Errorf("is %d bytes long, more than %d", n, maxSocketPath))
	}
}

// sockets are the settings of addresses that can be passed on.
var sockets = []string{"listen", "tls-listen", "admin"}

// bind comes by the listening sockets: from a supervisor, from the process that has
// them now, or by binding the addresses.
func (n *process) bind() (err error) {
	given, err := handover.Activated(sockets...)
	if err != nil {
		return err
	}
	var from []node.Source
	if len(given) > 0 {
		from = append(from, func(setting, _ string) (net.Listener, error) {
			ln := given[setting]
			delete(given, setting)
			return ln, nil
		})
	}
	if path := n.set.HandoverSocket; path != "" {
		if n.predecessor, err = handover.Ask(path); err != nil {
			return err
		}
	}
	if n.predecessor != nil {
		from = append(from, n.predecessor.Take)
	}
	n.listeners, err = n.set.Bind(from...)
	for setting, ln := range given {
		ln.Close()
		err = errors.Join(err, fmt.Errorf("socket activation: there is a socket for %s, which is not set", setting))
	}
	return err
}

// close lets go of the sockets.
func (n *process) close() {
	if n.left.Load() {
		n.listeners.Leave()
	}
	n.listeners.Close()
	if n.predecessor != nil {
		n.predecessor.Close()
	}
}

// joinGossip is the membership. An address that the predecessor has, too, it yields.
func (n *process) joinGossip(ctx context.Context) error {
	if p := n.predecessor; p != nil && p.Gossip() != "" && p.Gossip() == n.set.Gossip {
		if err := p.Yield(); err != nil {
			n.log.Warn("the balancer before this one does not leave the gossip", zap.Error(err))
		}
	}
	return n.members.run(ctx)
}

// enter has this process serve. After another it waits until it knows its comets, so
// that no request waits for that.
func (n *process) enter(ctx context.Context) error {
	if n.predecessor != nil {
		if err := n.predecessor.Await(ctx, n.balancer.Ready); ctx.Err() == nil && err != nil {
			return err
		}
		n.predecessor.Close()
		n.log.Info("took over from the balancer before this one")
	}
	close(n.serving)
	return nil
}

// entered is what runs when this process serves.
func (n *process) entered(run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-n.serving:
			return run(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// offer offers the sockets to the next process.
func (n *process) offer(ctx context.Context) error {
	o := handover.Offer{Path: n.set.HandoverSocket, Log: n.log}
	for _, s := range []struct {
		setting, addr string
		ln            net.Listener
	}{{"listen", n.set.Listen, n.listeners.Listen}, {"tls-listen", n.set.TLSListen, n.listeners.TLS}, {"admin", n.set.Admin, n.listeners.Admin}} {
		if s.ln != nil {
			o.Sockets = append(o.Sockets, handover.Socket{Name: s.setting, Addr: s.addr, Listener: s.ln})
		}
	}
	if n.members != nil && !strings.HasSuffix(n.set.Gossip, ":0") {
		o.Gossip, o.Yield, o.Resume = n.set.Gossip, n.members.leave, n.members.come
	}
	err := o.Run(ctx)
	if errors.Is(err, handover.ErrTaken) {
		n.left.Store(true)
		return balancer.ErrHandedOver
	}
	return err
}
