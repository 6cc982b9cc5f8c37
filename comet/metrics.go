package comet

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/bayeux"
)

// stats are the metrics of a comet, all under halley_comet_.
type stats struct {
	registry *registry // of whom a census is taken when somebody asks

	sessions, sockets                           prometheus.GaugeFunc
	handshakes, connects, publishes, deliveries prometheus.Counter
	errors, refused, drops, cuts                *prometheus.CounterVec
}

func newStats(r *registry) *stats {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "halley", Subsystem: "comet", Name: name, Help: help})
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "halley", Subsystem: "comet", Name: name, Help: help}, []string{label})
	}
	gauge := func(name, help string, value func() float64) prometheus.GaugeFunc {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "halley", Subsystem: "comet", Name: name, Help: help}, value)
	}
	return &stats{
		registry: r,
		sessions: gauge("sessions", "Sessions of clients, which other comets are not.", func() float64 { return float64(r.clients()) }),
		sockets: gauge("websockets", "WebSockets open.", func() float64 {
			r.mu.RLock()
			defer r.mu.RUnlock()
			return float64(len(r.sockets))
		}),
		handshakes: counter("handshakes_total", "Handshakes accepted."),
		connects:   counter("connects_total", "/meta/connect messages accepted."),
		publishes:  counter("publishes_total", "Messages accepted from clients on broadcast and service channels."),
		deliveries: counter("deliveries_total", "Copies of messages put into the queues of sessions."),
		errors:     vec("errors_total", "Unsuccessful replies, by their error.", "error"),
		refused:    vec("refused_total", "Requests and frames refused, by reason.", "reason"),
		drops:      vec("drops_total", "Messages that were queued and not delivered, by reason.", "reason"),
		cuts:       vec("cuts_total", "Sessions that the comet ended, by reason.", "reason"),
	}
}

func (s *stats) all() []prometheus.Collector {
	return []prometheus.Collector{s.sessions, s.sockets, s.handshakes, s.connects, s.publishes, s.deliveries, s.errors, s.refused, s.drops, s.cuts}
}

// Describe makes a [prometheus.Collector] of it, with Collect.
func (s *stats) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{sessionsDesc, heldDesc, messagesDesc, bytesDesc} {
		ch <- d
	}
	for _, c := range s.all() {
		c.Describe(ch)
	}
}

// Collect see Describe.
func (s *stats) Collect(ch chan<- prometheus.Metric) {
	s.takeCensus().collect(ch)
	for _, c := range s.all() {
		c.Collect(ch)
	}
}

// Collector is what the metrics halley_comet_… are scraped from.
func (s *Server) Collector() prometheus.Collector { return s.stats }

// Sessions counts the sessions of clients, which other comets are not: the load of
// this comet.
func (s *Server) Sessions() int { return s.sessions.clients() }

// refused counts a refusal, and tells it to those who debug.
func (s *Server) refused(why Refusal, fields ...zap.Field) {
	s.stats.refused.WithLabelValues(string(why)).Inc()
	s.log.Debug("refused", append(fields, zap.String("reason", string(why)))...)
}

// failed counts an unsuccessful reply.
func (s *stats) failed(e bayeux.Error) { s.errors.WithLabelValues(e.Kind()).Inc() }
