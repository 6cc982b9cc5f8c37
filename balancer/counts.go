package balancer

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/halleycomet/halley/internal/tunnel"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// class is the class of an answer's status.
type class uint8

const (
	classNone class = iota // no answer was given
	class1xx
	class2xx
	class3xx
	class4xx
	class5xx

	classes = int(class5xx) + 1
)

// String is the metric label.
func (c class) String() string {
	return [classes]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}[c]
}

func classOf(status int) class {
	if n := status / 100; n >= 1 && n <= 5 {
		return class(n)
	}
	return classNone
}

// movedWay is how a client was moved from a comet that drains.
type movedWay uint8

const (
	movedByPoll   movedWay = iota // its connect was told
	movedByTunnel                 // its WebSocket was closed
	movedByForce                  // of the first, those who may miss something that waited

	movedWays = int(movedByForce) + 1
)

// String is the metric label.
func (w movedWay) String() string { return [movedWays]string{"poll", "tunnel", "forced"}[w] }

// how is by what requests are counted, beside the comet.
type how struct {
	reason Reason
	class  class
}

// cometCounts are the metrics under one comet's name, those of all its incarnations
// together. Each is looked up once, because that costs more than to count.
type cometCounts struct {
	// Fixed after construction.
	name    string
	metrics *metrics
	times   [recordKinds]prometheus.Observer
	queued  prometheus.Observer
	unknown prometheus.Counter
	cut     prometheus.Counter
	moved   [movedWays]prometheus.Counter

	// Safe for any goroutine. The map is never changed, but replaced by a larger one.
	requests atomic.Pointer[map[how]prometheus.Counter]

	mu sync.Mutex
	// Guarded by mu.
	forgotten bool // the comet is gone: nothing new appears under its name
}

func newCometCounts(m *metrics, name string) *cometCounts {
	c := &cometCounts{name: name, metrics: m, queued: m.queued.WithLabelValues(name), unknown: m.unknown.WithLabelValues(name), cut: m.cut.WithLabelValues(name)}
	for w := range c.moved {
		c.moved[w] = m.moved.WithLabelValues(name, movedWay(w).String())
	}
	for k := range c.times {
		switch kind := recordKind(k); kind {
		case recordPoll:
			c.times[k] = m.polls.WithLabelValues(name)
		case recordTunnel:
			c.times[k] = m.lives.WithLabelValues(name)
		default:
			c.times[k] = m.times.WithLabelValues(name, kind.String())
		}
	}
	c.requests.Store(&map[how]prometheus.Counter{})
	return c
}

// request is the counter of requests by h.
func (c *cometCounts) request(h how) prometheus.Counter {
	if n := (*c.requests.Load())[h]; n != nil {
		return n
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old := *c.requests.Load()
	if n := old[h]; n != nil {
		return n
	}
	var n prometheus.Counter
	if c.forgotten {
		n = prometheus.NewCounter(prometheus.CounterOpts{Name: "forgotten"})
	} else {
		n = c.metrics.requests.WithLabelValues(c.name, string(h.reason), h.class.String())
	}
	more := maps.Clone(old)
	more[h] = n
	c.requests.Store(&more)
	return n
}

// unknownSessions is how many polls the comet did not know the session of.
func (c *cometCounts) unknownSessions() int64 {
	var m dto.Metric
	if err := c.unknown.Write(&m); err != nil {
		return 0
	}
	return int64(m.GetCounter().GetValue())
}

// add counts one in v, whose first label is the comet, unless the comet is gone. It is for
// what happens seldom.
func (c *cometCounts) add(v *prometheus.CounterVec, labels ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.forgotten {
		v.WithLabelValues(append([]string{c.name}, labels...)...).Inc()
	}
}

// forget sees to it that nothing more appears under the name.
func (c *cometCounts) forget() {
	c.mu.Lock()
	c.forgotten = true
	c.mu.Unlock()
}

// count takes a finished request into account. A request is counted in one place:
// that of its comet; answered, refused, or hung up on.
func (m *metrics) count(r *record) {
	if r.kind == recordTunnel {
		c := r.comet.living()
		c.counts.times[recordTunnel].Observe(r.ended.Sub(r.began).Seconds())
		if r.end == tunnel.Draining {
			c.counts.moved[movedByTunnel].Inc()
			if dr := c.drain.Load(); dr != nil {
				dr.tunnels.Add(1)
			}
		}
		return
	}
	switch r.by {
	case byBalancer:
		m.answered.WithLabelValues(string(r.reason)).Inc()
	case byRefusal:
		m.refused.WithLabelValues(string(r.reason)).Inc()
	case byNobody:
		m.hangups.Inc()
	case byComet:
		c := r.comet.living().counts
		c.request(how{r.reason, classOf(r.status)}).Inc()
		if r.lost {
			c.unknown.Inc()
		}
		if r.cut {
			c.cut.Inc()
		}
		// A poll that is held is healthy: its time tells of the client's advice. What
		// others are asked for is the time until the comet began to answer.
		took := r.waited
		if r.kind == recordPoll {
			took = r.ended.Sub(r.began)
		}
		c.times[r.kind].Observe(took.Seconds())
	}
}
