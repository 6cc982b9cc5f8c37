package balancer

import "github.com/prometheus/client_golang/prometheus"

// laneMetrics tell how much goes by the lanes.
type laneMetrics struct {
	// answers counts requests that were answered in a lane.
	answers prometheus.Counter
	// left counts those that left it, by reason; exits are its counters, which are
	// looked up once.
	left  *prometheus.CounterVec
	exits [exits]prometheus.Counter
}

func newLaneMetrics() *laneMetrics {
	m := &laneMetrics{
		answers: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "halley", Subsystem: "balancer", Name: "lane_answers_total",
			Help: "Requests that were answered in an event loop, without a goroutine.",
		}),
		left: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "halley", Subsystem: "balancer", Name: "lane_exits_total",
			Help: "Requests that an event loop left to a goroutine.",
		}, []string{"reason"}),
	}
	for e := exitOther; int(e) < exits; e++ {
		m.exits[e] = m.left.WithLabelValues(e.String())
	}
	return m
}

func (ls *lanes) collectors() []prometheus.Collector {
	if ls == nil {
		return nil
	}
	return []prometheus.Collector{ls.metrics.answers, ls.metrics.left}
}
