package balancer

import "github.com/prometheus/client_golang/prometheus"

// entryMetrics are the counters of what clients have to pass before their first
// request.
type entryMetrics struct {
	// handshakes counts handshakes of clients that speak TLS, by their result.
	handshakes *prometheus.CounterVec
	// proxied counts connections by what became of their PROXY header.
	proxied *prometheus.CounterVec
}

func newEntryMetrics() *entryMetrics {
	counters := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "halley", Subsystem: "balancer", Name: name, Help: help,
		}, []string{"result"})
	}
	return &entryMetrics{
		handshakes: counters("tls_handshakes_total", "Handshakes of clients that speak TLS, by their result."),
		proxied:    counters("proxy_headers_total", "Connections of proxies, by what became of their PROXY header."),
	}
}

func (m *entryMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.handshakes, m.proxied}
}
