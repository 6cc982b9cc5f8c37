package balancer

import (
	"errors"
	"time"

	"go.uber.org/zap"
)

// queueEnd is how the waiting for room at a comet ended; the metric label.
type queueEnd string

const (
	// queueGranted: there was room in time.
	queueGranted queueEnd = "granted"
	// queueFull: as many wait already as may.
	queueFull queueEnd = "queue_full"
	// queueLate: there was no room within Limits.QueueTime.
	queueLate queueEnd = "queue_timeout"
	// queueAside: a handshake, which went to another comet instead.
	queueAside queueEnd = "aside"
	// queueDown: the comet went down meanwhile.
	queueDown queueEnd = "down"
	// queueGone: the client hung up meanwhile.
	queueGone queueEnd = "gone"
	// queueStopping: the balancer stops.
	queueStopping queueEnd = "stopping"
)

// useOf is what a request uses its connection for.
func (rq *exchange) useOf() use {
	switch {
	case rq.upgrade:
		return useTunnel
	case rq.out.held:
		return usePoll
	}
	return useRequest
}

// enter takes a slot of the comet for a request. When there is none, a handshake goes
// to another comet, if one takes new sessions; everything else queues until there is
// room or Limits.QueueTime is over. The failure says what became of it then.
func (b *Balancer) enter(rq *exchange, d decision) (slot, *failure) {
	c, use := d.comet.living(), rq.useOf()
	if s, ok := c.limits.enter(use); ok {
		return s, nil
	}
	b.fleet.full(c)
	ended := func(how queueEnd, s stage, err error) (slot, *failure) {
		c.counts.add(b.metrics.queues, string(how))
		return slot{}, &failure{stage: s, err: err}
	}
	if other, found := b.another(rq, d); found && other.comet.State().openness() > Full.openness() {
		return ended(queueAside, stageAside, errAtLimit)
	}
	t, ok := c.limits.queue(use)
	if !ok {
		return ended(queueFull, stageQueueFull, errAtLimit)
	}
	s, how := b.wait(rq, c, t)
	c.counts.queued.Observe(time.Since(t.since).Seconds())
	switch how {
	case queueLate:
		return ended(how, stageQueueLate, errAtLimit)
	case queueGone:
		return ended(how, stageGone, errWoken)
	case queueStopping:
		return ended(how, stageReleased, errWoken)
	case queueDown:
		return ended(how, stageQueueDown, errWoken)
	}
	c.counts.add(b.metrics.queues, string(how))
	return s, nil
}

var errAtLimit = errors.New("the comet is at a limit of its own")

// wait waits in the queue of a comet. Polls do not outlast their clients, and end with
// the balancer; what else queues then has the balancer's time to end.
func (b *Balancer) wait(rq *exchange, c *comet, t *turn) (slot, queueEnd) {
	rq.out.turn.Pass()
	timer := time.NewTimer(rq.conf.Limits.QueueTime)
	defer timer.Stop()
	var gone, stopping <-chan struct{}
	if rq.out.held {
		rq.out.vigil.begin()
		gone, stopping = rq.out.vigil.departed(), b.stopping
	}
	end := queueLate
	select {
	case <-t.ready:
		end = queueDown
	case <-timer.C:
	case <-gone:
		end = queueGone
	case <-stopping:
		end = queueStopping
	}
	s, granted := c.limits.end(t)
	switch {
	case !granted:
		return slot{}, end
	case end == queueGone || end == queueStopping:
		s.leave()
		return slot{}, end
	}
	return s, queueGranted // if only in the last moment
}

// laterReason is why a client is told to come later.
func laterReason(s stage) Reason {
	switch s {
	case stageDialTimeout, stageUnreachable:
		return ReasonUnreachable
	case stageQueueFull:
		return ReasonQueueFull
	case stageQueueLate:
		return ReasonQueueTimeout
	}
	return ReasonFull
}

// laterInterval draws the interval of the advice to come later. Who has queued in vain
// comes back sooner than others: its session lives on only while it polls (CometD's for
// 10 s, maxInterval), and QueueTime is of that.
func (b *Balancer) laterInterval(why Reason) time.Duration {
	if why == ReasonQueueTimeout {
		return b.retryInterval() / 2
	}
	return b.retryInterval()
}

// full reports that a request found c at a limit.
func (f *fleet) full(c *comet) {
	if c.isFull.Load() {
		return
	}
	f.update(func() { f.transition(c, eventFull, causeLimit, zap.Int64("connections", c.limits.conns.Load())) })
}
