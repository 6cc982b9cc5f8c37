package balancer

// formerly is the comet where a session without a key of its own was before its comet
// began to drain: by address alone its requests would go elsewhere at once, with the
// session left behind. Who has been moved is unknown there, and the request is sent
// where the others go.
func (b *Balancer) formerly(rq *exchange, d decision) (decision, bool) {
	if d.reason != ReasonIP || rq.stranger || b.drains.active.Load() == 0 {
		return d, false
	}
	s := b.fleet.snapshot()
	c := rendezvousBy(s.comets, b.fleet.routing().prefixes.key(rq.ip), func(c *comet) (rank int, weight uint64) {
		if c.emptying() {
			return int(c.tier.Load()), uint64(c.share.Load()) // as when it was healthy
		}
		return c.opening()
	})
	if c == nil || !c.emptying() {
		return d, false
	}
	return decision{comet: c, reason: ReasonDraining}, true
}

// emptying tells whether clients are being moved from the comet.
func (c *comet) emptying() bool {
	dr := c.drain.Load()
	return dr != nil && !dr.done.Load()
}
