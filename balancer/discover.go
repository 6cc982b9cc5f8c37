package balancer

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/discovery"
	"github.com/halleycomet/halley/internal/sticky"
	"github.com/halleycomet/halley/internal/tunnel"
	"go.uber.org/zap"
)

// run follows the gossip and checks the comets until ctx ends.
func (f *fleet) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var checks sync.WaitGroup
	defer checks.Wait()
	defer cancel()
	checks.Go(func() { f.finder.Run(ctx) })

	last := &cluster.View{}
	apply := func(v *cluster.View, synced bool) {
		last = v
		var found []*comet
		list, complete := f.finder.List()
		f.update(func() {
			found = append(f.apply(v), f.applyList(list)...)
			if complete && !f.listed {
				f.listed, f.dirty = true, true
			}
			if synced {
				f.synced, f.dirty = true, true
			}
			for _, c := range found {
				var each context.Context
				each, c.forget = context.WithCancel(ctx)
				checks.Go(func() { f.watch(each, c) })
			}
		})
	}
	if f.members == nil {
		apply(last, true)
	}
	var views <-chan *cluster.View
	var synced <-chan struct{}
	if f.members != nil {
		views, synced = f.members.Watch(ctx), f.members.Synced()
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case v, ok := <-views:
			if !ok {
				views = nil // the gossip has ended; what is known stays, and is checked
				continue
			}
			apply(v, false)
		case <-f.again:
			apply(last, false)
		case <-synced:
			synced = nil
			apply(f.members.View(), true)
		}
	}
}

// apply brings the comets in line with a view of the gossip, and returns those that
// are new. The caller holds mu.
func (f *fleet) apply(v *cluster.View) (found []*comet) {
	nodes := f.gossiped(v)
	known := make(map[string]bool, len(nodes))
	for _, n := range nodes {
		known[n.key()] = true
		if n.dead() {
			continue
		}
		c := f.comets[n.key()]
		if c == nil && n.State == cluster.Failed && !n.newest {
			f.remember(n, causeSuperseded)
			continue
		}
		if c == nil {
			c = f.discover(n.at, n.Name, sticky.Tag(n.Tag), n.Started)
			found = append(found, c)
		}
		f.heard(c, n)
	}
	// The dead come second: the one that has the address of a dead one may have taken
	// over its connections by now.
	for _, n := range nodes {
		if !n.dead() {
			continue
		}
		why := causeLeft
		if n.replaced {
			why = causeReplaced
		}
		if c := f.comets[n.key()]; c != nil {
			f.transition(c, eventGone, why)
		} else {
			f.remember(n, why)
		}
	}
	for _, c := range f.comets {
		if c.gossips && !known[c.key()] {
			f.transition(c, eventGone, causeUnlisted)
		}
	}
	return found
}

// applyList adds the comets of the list that are not there under a gossip name, and
// gives each its weight. Those that the list has lost keep their sessions until they
// are moved or go down, and get no new ones.
// The caller holds mu.
func (f *fleet) applyList(list []discovery.Comet) (found []*comet) {
	at := make(map[string]discovery.Comet, len(list))
	for _, l := range list {
		at[l.Addr] = l
	}
	for _, c := range f.comets {
		l, listed := at[c.Addr]
		switch {
		case listed:
			f.weigh(c, l)
		case c.gossips:
			f.weigh(c, discovery.Comet{Weight: 1})
		} // else it keeps its weight: by that the clients that come by address are found, until they are moved
		delete(at, c.Addr)
		if !c.gossips {
			f.delist(c, listed)
		}
	}
	for _, l := range list {
		if _, missing := at[l.Addr]; missing {
			c := f.discover(l.Endpoint, l.Origin, "", time.Time{})
			f.weigh(c, l)
			found = append(found, c)
		}
	}
	return found
}

// weigh gives a comet the weight that the list has for it. The caller holds mu.
func (f *fleet) weigh(c *comet, l discovery.Comet) {
	share, tier := c.share.Swap(l.Weight), c.tier.Swap(l.Tier)
	if share != l.Weight || tier != l.Tier {
		f.dirty = true // somebody may wait for it
	}
}

// node is a comet as the gossip has it.
type node struct {
	cluster.Node
	at       discovery.Endpoint
	newest   bool // of its name
	replaced bool // a newer live one has its address: its process cannot be there any more
}

func (n *node) key() string { return cometKey(n.Name, sticky.Tag(n.Tag)) }

// dead reports whether there is no doubt that the process is gone. That the gossip
// has given it up leaves one: a check decides.
func (n *node) dead() bool { return n.replaced || n.State == cluster.Left }

// gossiped lists the comets of a view, less those that make no sense.
func (f *fleet) gossiped(v *cluster.View) []*node {
	var nodes []*node
	holder := make(map[string]*node) // of an address
	for i, n := range v.Nodes {
		if n.Role != cluster.RoleComet {
			continue
		}
		u, err := discovery.ParseURL(n.URL)
		if err != nil || !sticky.Tag(n.Tag).Valid() {
			f.log.Debug("gossip names a comet that cannot be used", zap.String("comet", n.Name),
				zap.String("tag", n.Tag), zap.String("url", n.URL), zap.Error(err))
			continue
		}
		last := i+1 == len(v.Nodes) || v.Nodes[i+1].Name != n.Name
		at := &node{Node: n, at: u, newest: last}
		nodes = append(nodes, at)
		if h := holder[u.Addr]; n.State.Live() && (h == nil || h.Started.Before(n.Started)) {
			holder[u.Addr] = at
		}
	}
	for _, n := range nodes {
		h := holder[n.at.Addr]
		n.replaced = h != nil && h != n
	}
	return nodes
}

// discover makes a comet, to be checked. The caller holds mu.
func (f *fleet) discover(at discovery.Endpoint, name string, tag sticky.Tag, started time.Time) *comet {
	c := newComet(at, name, tag, started)
	c.since, c.why = time.Now(), causeFound
	c.counts = f.metrics.of(c.name)
	if f.drained[name] {
		c.drains = append(c.drains, causeAdmin)
		c.cond.draining = true
	}
	old := f.predecessor(c)
	f.comets[c.key()] = c
	f.dirty = true
	if old != nil {
		f.inherit(c, old)
	} else {
		c.up, c.tunnels, c.load = newUpstream(at.Addr, f.live), tunnel.NewSet(), &load{}
		c.up.certName = at.CertName()
		c.limits = newGate(func() *Limits { return &f.conf().Limits })
	}
	if c.state.Store(uint32(c.cond.state())); c.is(Draining) {
		f.drains = append(f.drains, departing{c, c.drains[0]})
	}
	f.log.Info("comet found", zap.String("comet", c.name), zap.String("addr", c.Addr), zap.String("tag", string(tag)))
	return c
}

// predecessor finds the comet at c's address whose connections lead to c: an entry
// of the list that turns out to gossip, which is the same process; or an incarnation
// that has been down before, so that what was connected since is connected to c,
// which came back in its place before the gossip noticed. The caller holds mu.
func (f *fleet) predecessor(c *comet) *comet {
	for _, old := range f.comets {
		if old.Addr == c.Addr && old.key() != c.key() && (!old.gossips || old.downAt.Load() != 0) {
			return old
		}
	}
	return nil
}

// inherit hands the connections of old, and what is known of how it is, to c, and
// ends old without a word to its clients. The caller holds mu.
func (f *fleet) inherit(c, old *comet) {
	c.up, c.tunnels, c.load, c.limits = old.up, old.tunnels, old.load, old.limits
	if c.CertName() != old.CertName() { // the gossip knows better than the list whether it is TLS
		old.up.close()
		c.up = newUpstream(c.Addr, f.live)
		c.up.certName = c.CertName()
	}
	c.fresh.Store(old.fresh.Load())
	if !old.gossips || old.cond.base == Healthy {
		c.cond.base, c.cond.full = old.cond.base, old.cond.full
		c.checked = old.checked
		c.since = old.since
	}
	if !old.gossips {
		c.health = old.health
		if slices.Contains(old.drains, causeAdmin) && !c.cond.draining {
			f.drained[c.name] = true // the name under which it was drained is no more
			delete(f.drained, old.name)
			c.drains, c.cond.draining = append(c.drains, causeAdmin), true
		}
		c.lost.Store(old.lost.Load())
		c.downAt.Store(old.downAt.Load())
	}
	old.heir.Store(c)
	old.cond = old.cond.next(eventGone)
	old.state.Store(uint32(Gone))
	old.since, old.why = time.Now(), causeInherited
	f.bury(old)
	f.log.Info("comet gone", zap.String("comet", old.name), zap.String("addr", old.Addr),
		zap.String("tag", string(old.tag)), zap.String("reason", string(causeInherited)), zap.String("by", c.name))
}

// remember keeps the tags of a comet that was gone before this balancer knew it. The
// caller holds mu.
func (f *fleet) remember(n *node, why cause) {
	for _, g := range f.graves {
		if g.tag == sticky.Tag(n.Tag) {
			return
		}
	}
	c := newComet(n.at, n.Name, sticky.Tag(n.Tag), n.Started)
	c.load = &load{}
	c.since, c.why = time.Now(), why
	c.cond = c.cond.next(eventGone)
	c.state.Store(uint32(Gone))
	f.bury(c)
	f.dirty = true
}

// heard takes over what the gossip says of a comet that is there. The caller holds
// mu.
func (f *fleet) heard(c *comet, n *node) {
	c.load.heard(int64(n.Load))
	f.setDraining(c, causeSuperseded, !n.newest)
	f.setDraining(c, causeGoodbye, n.State == cluster.Leaving)
	if givenUp := n.State == cluster.Failed; givenUp != c.health.givenUp {
		c.health.givenUp = givenUp
		c.checkNow()
	}
	if c.health.givenUp && !n.newest && c.is(Down) {
		f.transition(c, eventGone, causeSuperseded)
	}
}
