package balancer

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Reason is why a request was routed or answered as it was, or why something was
// counted: the metric label and the log field.
type Reason string

// Reasons of route.
const (
	// ReasonClientID: the clientId begins with the tag of that comet's incarnation.
	ReasonClientID Reason = "client_id"
	// ReasonLearnt: the clientId was learnt from that comet's answer to a handshake.
	ReasonLearnt Reason = "learnt"
	// ReasonCookie: the browser cookie begins with the tag of that comet's name.
	ReasonCookie Reason = "cookie"
	// ReasonIP: no other key; by the client's address.
	ReasonIP Reason = "ip"
	// ReasonNoKey: no key at all; the less loaded of two.
	ReasonNoKey Reason = "no_key"
	// ReasonPlacedLoad: a new session, to the less loaded of two comets.
	ReasonPlacedLoad Reason = "placed_load"
	// ReasonPlacedIP: a new session, by the client's address.
	ReasonPlacedIP Reason = "placed_ip"
	// ReasonRepinned: a handshake whose comet is down, draining or not known was moved,
	// and its cookie with it.
	ReasonRepinned Reason = "repinned"
	// ReasonRehomed: an upgrade whose comet is down or draining goes where the next
	// handshake of its browser will be moved to.
	ReasonRehomed Reason = "rehomed"
	// ReasonOwnerDown: the comet of the session is known and down; the balancer answers.
	ReasonOwnerDown Reason = "owner_down"
	// ReasonDraining: by the client's address, to a comet that is being left: its session
	// is there still.
	ReasonDraining Reason = "draining"
	// ReasonNoComet: no comet is healthy.
	ReasonNoComet Reason = "no_comet"
	// ReasonNotReady: the balancer does not know its comets yet.
	ReasonNotReady Reason = "not_ready"

	// The same for what is no Bayeux message.
	ReasonPageCookie   Reason = "page_cookie"
	ReasonPageRehomed  Reason = "page_rehomed"
	ReasonPageIP       Reason = "page_ip"
	ReasonPageNoKey    Reason = "page_no_key"
	ReasonPageNoComet  Reason = "page_no_comet"
	ReasonPageNotReady Reason = "page_not_ready"
)

// metrics are the counters of a balancer.
type metrics struct {
	// requests counts what comets answered, by comet, reason of route and class of the
	// status.
	requests *prometheus.CounterVec
	// times, polls and lives are how long requests took, polls were held and tunnels
	// lived, by comet.
	times, polls, lives *prometheus.HistogramVec
	// unknown counts polls whose session their comet did not know, by comet.
	unknown *prometheus.CounterVec
	// cut counts answers that broke off, by comet.
	cut *prometheus.CounterVec
	// answered counts what the balancer answered itself, by reason.
	answered *prometheus.CounterVec
	// reroutes counts requests that were sent again or elsewhere, by reason.
	reroutes *prometheus.CounterVec
	// refused counts requests that were refused as malformed or over a limit, by reason.
	refused *prometheus.CounterVec
	// closed counts tunnels that the balancer ended, by reason.
	closed *prometheus.CounterVec
	// tunnels and held are the tunnels and the requests that wait for a comet now.
	tunnels, held prometheus.Gauge
	// hangups counts clients that went away while their request waited.
	hangups prometheus.Counter
	// queues counts requests that found their comet at a limit, by comet and how that
	// ended; queued is the time for which they waited, by comet.
	queues *prometheus.CounterVec
	queued *prometheus.HistogramVec
	// transitions counts changes of state, by comet, new state and reason; faults what
	// requests found wrong, by comet and kind; spared what was not let happen because
	// too many comets failed, by comet and reason.
	transitions, faults, spared *prometheus.CounterVec
	// moved counts the clients moved from comets that drain, by comet and how; unparted
	// the sessions of those that were left to expire.
	moved    *prometheus.CounterVec
	unparted prometheus.Counter
	// learnt counts what happened to sessions that are learnt, by event (learnt, hit,
	// miss, evicted, expired, unreadable).
	learnt *prometheus.CounterVec
	// checks counts checks, by comet and result (ok, refused, failed).
	checks *prometheus.CounterVec

	mu sync.Mutex
	// Guarded by mu.
	byName map[string]*cometCounts // of the comets that are not gone
}

// The bounds of the histograms, in seconds: of what is answered at once, of what may
// be held for as long as comets hold it, and of what lives.
var (
	quickly   = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10}
	heldFor   = []float64{0.01, 0.1, 1, 5, 10, 20, 31, 61, 121}
	queuedFor = []float64{0.001, 0.01, 0.1, 0.5, 1, 2.5, 5, 10}
	livesOf   = []float64{1, 10, 60, 600, 3600, 6 * 3600, 24 * 3600}
)

func newMetrics() *metrics {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "halley", Subsystem: "balancer", Name: name, Help: help,
		}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "halley", Subsystem: "balancer", Name: name, Help: help,
		})
	}
	histograms := func(name, help string, bounds []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "halley", Subsystem: "balancer", Name: name, Help: help, Buckets: bounds,
		}, labels)
	}
	return &metrics{
		requests:    counters("requests_total", "Requests that a comet answered, by the reason of its choice and the class of the status.", "comet", "reason", "status"),
		times:       histograms("request_seconds", "Time until the comet began to answer, by the kind of request. Polls are apart.", quickly, "comet", "kind"),
		polls:       histograms("poll_seconds", "Time of requests with a /meta/connect, which comets hold.", heldFor, "comet"),
		lives:       histograms("tunnel_seconds", "Lifetime of WebSocket tunnels that have ended.", livesOf, "comet"),
		unknown:     counters("unknown_sessions_total", "Polls that a comet answered with 402, in answers that are not compressed: it does not know the session.", "comet"),
		cut:         counters("cut_answers_total", "Answers of a comet that broke off.", "comet"),
		answered:    counters("answered_total", "Requests that the balancer answered itself.", "reason"),
		reroutes:    counters("reroutes_total", "Requests that were sent again, or to another comet.", "reason"),
		refused:     counters("refused_total", "Requests refused as malformed or over a limit.", "reason"),
		closed:      counters("tunnels_closed_total", "Tunnels that the balancer closed.", "reason"),
		queues:      counters("queue_ends_total", "Requests that found their comet at a limit, by how it ended.", "comet", "result"),
		queued:      histograms("queue_seconds", "Time for which requests queued for their comet.", queuedFor, "comet"),
		transitions: counters("comet_transitions_total", "Changes of the state of a comet.", "comet", "state", "reason"),
		faults:      counters("faults_total", "What requests found wrong with a comet, by kind.", "comet", "fault"),
		spared:      counters("spared_total", "What would have left a comet out, were it not one of too many.", "comet", "reason"),
		checks:      counters("checks_total", "Checks of comets.", "comet", "result"),
		learnt:      counters("learnt_total", "What happened to sessions that are learnt from answers to handshakes.", "event"),
		tunnels:     gauge("tunnels", "WebSocket tunnels open."),
		held:        gauge("held", "Requests waiting for the answer of a comet."),
		moved:       counters("moved_total", "Clients moved from a comet that drains: by their poll, by the end of their WebSocket, and by force.", "comet", "how"),
		unparted: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "halley", Subsystem: "balancer", Name: "moved_left_total",
			Help: "Sessions of clients that were moved which could not be ended at their comet, and expire there.",
		}),
		hangups: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "halley", Subsystem: "balancer", Name: "hangups_total",
			Help: "Clients that went away while their request waited.",
		}),
		byName: make(map[string]*cometCounts),
	}
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.requests, m.times, m.polls, m.lives, m.unknown, m.cut,
		m.answered, m.reroutes, m.refused, m.closed,
		m.tunnels, m.held, m.hangups, m.checks, m.queues, m.queued,
		m.transitions, m.faults, m.spared, m.learnt,
		m.moved, m.unparted,
	}
}

// of are the counts under a comet's name.
func (m *metrics) of(comet string) *cometCounts {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.byName[comet]
	if c == nil {
		c = newCometCounts(m, comet)
		m.byName[comet] = c
	}
	return c
}

// forget drops what was counted for a comet that is gone, so that names do not pile up.
func (m *metrics) forget(comet string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.byName[comet]; c != nil {
		c.forget()
		delete(m.byName, comet)
	}
	for _, v := range []interface{ DeletePartialMatch(prometheus.Labels) int }{
		m.requests, m.times, m.polls, m.lives, m.unknown, m.cut, m.checks, m.queues, m.queued, m.transitions, m.faults, m.spared,
		m.moved,
	} {
		v.DeletePartialMatch(prometheus.Labels{"comet": comet})
	}
}

// cometStates counts the comets by state when it is asked to.
type cometStates struct{ fleet *fleet }

var cometStatesDesc = prometheus.NewDesc("halley_balancer_comets", "Comets known, by state.", []string{"state"}, nil)

func (cometStates) Describe(ch chan<- *prometheus.Desc) { ch <- cometStatesDesc }

func (s cometStates) Collect(ch chan<- prometheus.Metric) {
	var n [states]int
	for _, c := range s.fleet.snapshot().comets {
		n[c.State()]++
	}
	for state := range Gone {
		ch <- prometheus.MustNewConstMetric(cometStatesDesc, prometheus.GaugeValue, float64(n[state]), state.String())
	}
}
