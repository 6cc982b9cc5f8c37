package balancer

import "github.com/prometheus/client_golang/prometheus"

// cometGauges tells of each comet when it is asked to. Incarnations of one name that are
// there at once count together.
type cometGauges struct{ fleet *fleet }

var (
	cometUseDesc = prometheus.NewDesc("halley_balancer_comet_connections",
		"Connections to a comet in use, by what for.", []string{"comet", "use"}, nil)
	cometQueueDesc = prometheus.NewDesc("halley_balancer_comet_queue",
		"Requests that queue for a comet at a limit.", []string{"comet"}, nil)
	cometStateDesc = prometheus.NewDesc("halley_balancer_comet_state",
		"1 for the state of a comet.", []string{"comet", "state"}, nil)
	cometsSparedDesc = prometheus.NewDesc("halley_balancer_comets_spared",
		"Comets that would be left out, were they not too many at once.", nil, nil)
)

func (cometGauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- cometUseDesc
	ch <- cometQueueDesc
	ch <- cometStateDesc
	ch <- cometsSparedDesc
}

func (g cometGauges) Collect(ch chan<- prometheus.Metric) {
	comets := g.fleet.snapshot().comets // by name
	gauge := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	spared := int64(0)
	for _, c := range comets {
		if c.spared.Load() {
			spared++
		}
	}
	gauge(cometsSparedDesc, spared)
	for len(comets) > 0 {
		newest := comets[0]
		var inUse [uses]int64
		var queue int64
		for len(comets) > 0 && comets[0].name == newest.name {
			newest, comets = comets[0], comets[1:]
			for u := range inUse {
				inUse[u] += newest.limits.inUse[u].Load()
			}
			queue += newest.limits.waiters.Load()
		}
		for u, n := range inUse {
			gauge(cometUseDesc, n, newest.name, use(u).String())
		}
		gauge(cometQueueDesc, queue, newest.name)
		gauge(cometStateDesc, 1, newest.name, newest.State().String())
	}
}
