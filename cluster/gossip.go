package cluster

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// gossip is a running memberlist behind the few words that the rest of the package
// uses.
type gossip struct {
	// Fixed after construction.
	list      *memberlist.Memberlist
	transport *transport
	bound     netip.AddrPort
	began     time.Time
	slowest   time.Duration // how long a probe can take
	patience  time.Duration // how long a probe waits before it asks others

	failing atomic.Int64 // when a probe last got no direct answer, nanoseconds after began; 0: never
}

// delegate answers memberlist's questions and takes its news. It is called under
// memberlist's lock.
type delegate struct {
	self  *self
	inbox *inbox
}

var (
	_ memberlist.Delegate      = delegate{}
	_ memberlist.EventDelegate = delegate{}
)

func (d delegate) NodeMeta(int) []byte            { return d.self.meta() }
func (delegate) GetBroadcasts(int, int) [][]byte  { return nil }
func (delegate) LocalState(bool) []byte           { return nil }
func (delegate) MergeRemoteState([]byte, bool)    {}
func (d delegate) NotifyJoin(n *memberlist.Node)  { d.inbox.put(eventOf(n, false)) }
func (d delegate) NotifyLeave(n *memberlist.Node) { d.inbox.put(eventOf(n, true)) }

// NotifyMsg gets the user messages: goodbyes, and those of later releases.
func (d delegate) NotifyMsg(b []byte) {
	if len(b) > 1 && b[0] == messageGoodbye {
		d.inbox.put(event{wire: string(b[1:]), goodbye: true})
	}
}

func (d delegate) NotifyUpdate(n *memberlist.Node) { d.inbox.put(eventOf(n, false)) }

// eventOf copies what the gossip lends us.
func eventOf(n *memberlist.Node, gone bool) event {
	return event{wire: n.Name, addr: n.Address(), meta: append([]byte(nil), n.Meta...), gone: gone}
}

// bindTries is how often a port is sought that is free for TCP and UDP both.
const bindTries = 20

// startGossip binds, and begins to listen and to gossip.
func startGossip(ctx context.Context, cfg *Config, d delegate, out *logs, reach func(string) error) (*gossip, error) {
	host, port, _ := splitAddr(cfg.Bind, 0)
	ip, err := resolveOne(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("cluster: bind %q: %w", cfg.Bind, err)
	}
	logger := log.New(out, "", 0)
	var inner *memberlist.NetTransport
	for range bindTries {
		inner, err = memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{ip.String()}, BindPort: port, Logger: logger,
		})
		if err == nil || port != 0 {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cluster: bind %q: %w", cfg.Bind, err)
	}
	bound := netip.AddrPortFrom(ip, uint16(inner.GetAutoBindPort()))
	advertise, err := advertised(ctx, cfg.Advertise, bound)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cluster: advertise %q: %w", cfg.Advertise, err), inner.Shutdown())
	}
	t := &transport{
		net: inner, advertise: advertise, maxStreams: cfg.MaxStreams, count: out.count, reach: reach,
	}
	t.start()
	g := &gossip{
		transport: t, bound: bound, began: time.Now(),
		slowest: cfg.ProbeInterval * time.Duration(cfg.MaxSlowdown), patience: cfg.ProbeTimeout,
	}
	if g.list, err = memberlist.Create(g.settings(cfg, d, logger)); err != nil {
		return nil, errors.Join(fmt.Errorf("cluster: start gossip: %w", err), t.Shutdown())
	}
	return g, nil
}

// settings are memberlist's, made from ours.
func (g *gossip) settings(cfg *Config, d delegate, logger *log.Logger) *memberlist.Config {
	m := memberlist.DefaultLANConfig()
	m.Name = wireName(cfg.Name, cfg.Tag)
	m.Transport = g.transport
	m.BindAddr, m.BindPort = g.bound.Addr().String(), int(g.bound.Port())
	m.Label = cfg.Label
	m.ProbeInterval, m.ProbeTimeout = cfg.ProbeInterval, cfg.ProbeTimeout
	m.SuspicionMult, m.SuspicionMaxTimeoutMult = cfg.SuspicionMult, 2
	m.AwarenessMaxMultiplier = cfg.MaxSlowdown
	m.GossipInterval, m.GossipToTheDeadTime = cfg.GossipInterval, cfg.DeadGossip
	m.PushPullInterval, m.TCPTimeout = cfg.SyncInterval, cfg.StreamTimeout
	m.Delegate, m.Events = d, d
	m.EnableCompression = false // nothing here is large, and pings are many
	m.Logger = logger
	if len(cfg.Keys) > 0 {
		// Validate has checked the lengths, which is all that can be wrong.
		m.Keyring, _ = memberlist.NewKeyring(cfg.Keys, cfg.Keys[0])
	}
	// Asked when a probe got no direct answer; stop wants to know when that was.
	m.DisableTcpPingsForNode = func(string) bool {
		g.failing.Store(int64(time.Since(g.began)))
		return false
	}
	return m
}

// addr is the address that others use.
func (g *gossip) addr() string { return g.transport.advertise.String() }

// join dials one address, "ip:port", and exchanges the full state. When it returns
// without an error, every node that the other knows has gone through the inbox.
func (g *gossip) join(addr string) error {
	_, err := g.list.Join([]string{addr})
	if err != nil {
		// memberlist lists errors over several lines.
		return errors.New(strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "1 error occurred: * "))
	}
	return nil
}

// tell announces what self says now, and waits at most wait for it to be sent.
func (g *gossip) tell(wait time.Duration) {
	_ = g.list.UpdateNode(max(wait, time.Millisecond)) // an error says that the wait was over
}

// messageGoodbye is the kind of the one user message there is; doc.go has its form.
const messageGoodbye = 1

// bid says goodbye to each of the addresses by itself. Gossip spreads by chance, and
// the departure, which tells nobody whether it was one in order, may outrun it.
func (g *gossip) bid(wire string, addrs []string) {
	msg := append([]byte{messageGoodbye}, wire...)
	for _, addr := range addrs {
		// An error is a lost packet, which is possible anyway.
		_ = g.list.SendToAddress(memberlist.Address{Addr: addr}, msg)
	}
}

// leave departs, and waits at most wait for it to be sent.
func (g *gossip) leave(wait time.Duration) error {
	return g.list.Leave(max(wait, time.Millisecond))
}

// stop ends everything and waits for what memberlist leaves running: streams, whose
// connections are closed, and a probe in flight, which only time ends: memberlist
// has nothing to cancel it with, nor a word for its end.
func (g *gossip) stop() error {
	err := g.list.Shutdown()
	g.transport.drain(time.Second)
	timer := time.NewTimer(g.patience)
	<-timer.C
	if failed := g.failing.Load(); failed != 0 {
		timer.Reset(time.Until(g.began.Add(time.Duration(failed) + g.slowest)))
		<-timer.C
	}
	return err
}

// resolveOne finds the address of a host, an IPv4 one if there is.
func resolveOne(ctx context.Context, host string) (netip.Addr, error) {
	if host == "" {
		return netip.IPv4Unspecified(), nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap(), nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, ip := range ips {
		if ip.Unmap().Is4() {
			return ip.Unmap(), nil
		}
	}
	return ips[0], nil
}

// advertised is the address that others are told: the one set, or the one bound.
func advertised(ctx context.Context, set string, bound netip.AddrPort) (netip.AddrPort, error) {
	if set == "" {
		return bound, nil
	}
	host, port, err := splitAddr(set, 0)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ip, err := resolveOne(ctx, host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if port == 0 {
		port = int(bound.Port())
	}
	return netip.AddrPortFrom(ip, uint16(port)), nil
}
