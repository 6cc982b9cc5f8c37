package access

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/halleycomet/halley/internal/reread"
)

type stats struct {
	denied    *prometheus.CounterVec
	forbidden *prometheus.CounterVec
	expired   prometheus.Counter
}

func newStats() *stats {
	s := &stats{
		denied: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "halley_comet_access_refused_handshakes_total", Help: "Handshakes that were refused for their token, by reason."}, []string{"reason"}),
		forbidden: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "halley_comet_access_denied_operations_total", Help: "What no rule granted, by operation and by how near a rule came."}, []string{"operation", "reason"}),
		expired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "halley_comet_access_expired_tokens_total", Help: "Sessions that were ended since their token had expired."}),
	}
	for _, why := range denials {
		s.denied.WithLabelValues(string(why))
	}
	for _, op := range operations {
		for _, why := range reasons[:len(reasons)-1] {
			s.forbidden.WithLabelValues(string(op), string(why))
		}
	}
	return s
}

var reloads = prometheus.NewDesc("halley_comet_access_reloads_total",
	"Changed files, by which and whether they could be used.", []string{"file", "result"}, nil)

// Collector has the metrics of the policy.
func (p *Policy) Collector() prometheus.Collector { return collector{p} }

type collector struct{ policy *Policy }

func (c collector) parts() []prometheus.Collector {
	return []prometheus.Collector{c.policy.stats.denied, c.policy.stats.forbidden, c.policy.stats.expired}
}

// Describe is for prometheus.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, part := range c.parts() {
		part.Describe(out)
	}
	out <- reloads
}

// Collect is for prometheus.
func (c collector) Collect(out chan<- prometheus.Metric) {
	for _, part := range c.parts() {
		part.Collect(out)
	}
	for name, files := range map[string]*reread.Files{"keys": c.policy.keyFile, "rules": c.policy.ruleFile} {
		if files == nil {
			continue
		}
		ok, failed := files.Counts()
		out <- prometheus.MustNewConstMetric(reloads, prometheus.CounterValue, float64(ok), name, "ok")
		out <- prometheus.MustNewConstMetric(reloads, prometheus.CounterValue, float64(failed), name, "failed")
	}
}
