package balancer

import "github.com/prometheus/client_golang/prometheus"

// entryMetrics are the counters of what clients have to pass before their first
// request.
type entryMetrics struct {
	// handshakes counts handshakes of clients that speak TLS, by their result.
	handshakes *prometheus.CounterVec
}

func newEntryMetrics() *entryMetrics {
	counters := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "halley", Subsystem: "balancer", Name: name, Help: help,
		}, []string{"result"})
	}
	return &entryMetrics{
		handshakes: counters("tls_handshakes_total", "Handshakes of clients that speak TLS, by their result."),
	}
}

func (m *entryMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.handshakes}
}
