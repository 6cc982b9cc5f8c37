package comet

import "github.com/prometheus/client_golang/prometheus"

// census is what there is of sessions at one moment. It is taken when the metrics are
// scraped, one session after the other, so that deliveries keep no account of it.
type census struct {
	byTransport [len(transportNames)]int // clients
	held        int                      // polls
	messages    int                      // in the queues, also of other comets
	bytes       int
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName("halley", "comet", name), help, labels, nil)
}

var (
	sessionsDesc = describe("sessions_by_transport", "Sessions of clients, by the transport of their last handshake or connect.", "transport")
	heldDesc     = describe("held_polls", "Connects held over HTTP.")
	messagesDesc = describe("queue_messages", "Messages that wait for sessions, or for their acknowledgement.")
	bytesDesc    = describe("queue_bytes", "Bytes of those messages. One that waits for several sessions counts for each.")
)

func (s *stats) takeCensus() (c census) {
	for _, session := range s.registry.all() {
		session.count(&c)
	}
	return c
}

func (s *session) count(c *census) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.peer && s.state.live() {
		c.byTransport[s.via]++
	}
	if s.hold != nil && s.hold.sock == nil {
		c.held++
	}
	c.messages += s.queue.leased + s.waitingLocked()
	c.bytes += s.bytesLocked()
}

func (c census) collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	for via, n := range c.byTransport {
		gauge(sessionsDesc, n, transport(via).String())
	}
	gauge(heldDesc, c.held)
	gauge(messagesDesc, c.messages)
	gauge(bytesDesc, c.bytes)
}
