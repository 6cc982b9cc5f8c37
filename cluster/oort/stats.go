package oort

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// counters are counts since New. The maps are fixed after construction.
type counters struct {
	refused  map[Refusal]*atomic.Uint64
	dropped  map[Drop]*atomic.Uint64
	received atomic.Uint64
	denied   atomic.Uint64
	late     atomic.Uint64
}

func (n *counters) init() {
	n.refused = make(map[Refusal]*atomic.Uint64)
	for _, r := range refusals {
		n.refused[r] = new(atomic.Uint64)
	}
	n.dropped = make(map[Drop]*atomic.Uint64)
	for _, d := range drops {
		n.dropped[d] = new(atomic.Uint64)
	}
}

// Peer is another comet, as this one knows it by its link to it.
type Peer struct {
	// URL is what the comet calls itself, or what is dialled as long as it has not answered.
	URL string
	// Dialled is what is dialled; another name for the comet if it differs from URL.
	Dialled string
	// ID is the oortId of its incarnation, empty while it is not known.
	ID string
	// State is how far our link to it has come.
	State State
	// Linked: it has a session here. Member: it has joined by that session.
	Linked, Member bool
	// Since is when State began.
	Since time.Time
}

// Peers lists the links, ordered by URL.
func (c *Cloud) Peers() []Peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	byURL := make(map[string]*peer, len(c.peers))
	for _, in := range c.peers {
		byURL[in.url] = in
	}
	out := make([]Peer, 0, len(c.links))
	for _, l := range c.links {
		p := Peer{URL: cmp.Or(l.peerURL, l.url), Dialled: l.url, ID: l.peerID, State: l.state, Since: l.since}
		if in := byURL[p.URL]; in != nil {
			p.Linked, p.Member = true, in.joined
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Peer) int { return cmp.Or(cmp.Compare(a.URL, b.URL), cmp.Compare(a.Dialled, b.Dialled)) })
	return out
}

var (
	descLinks = prometheus.NewDesc("halley_oort_links",
		"Links to other comets, by how far they have come.", []string{"state"}, nil)
	descPeers = prometheus.NewDesc("halley_oort_peers",
		"Other comets that have a session here.", nil, nil)
	descChannels = prometheus.NewDesc("halley_oort_channels",
		"Channels that are observed on the other comets.", nil, nil)
	descRefused = prometheus.NewDesc("halley_oort_refused_total",
		"Handshakes of comets that were refused, by reason.", []string{"reason"}, nil)
	descReceived = prometheus.NewDesc("halley_oort_received_total",
		"Messages from other comets that were handed to local subscribers.", nil, nil)
	descDropped = prometheus.NewDesc("halley_oort_dropped_total",
		"Messages from other comets that were not delivered, by reason.", []string{"reason"}, nil)
	descDenied = prometheus.NewDesc("halley_oort_denied_total",
		"Channels that another comet did not let us observe.", nil, nil)
	descLate = prometheus.NewDesc("halley_oort_late_total",
		"Comets that did not confirm a channel in time.", nil, nil)
)

// Collector is what the metrics are scraped from.
func (c *Cloud) Collector() prometheus.Collector { return collector{c} }

type collector struct{ c *Cloud }

func (x collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(x, ch) }

func (x collector) Collect(ch chan<- prometheus.Metric) {
	c := x.c
	states := make(map[State]int)
	c.mu.Lock()
	for _, l := range c.links {
		states[l.state]++
	}
	peers, channels := len(c.peers), len(c.interests)
	c.mu.Unlock()

	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	count := func(d *prometheus.Desc, v *atomic.Uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v.Load()), labels...)
	}
	for _, s := range States {
		gauge(descLinks, states[s], s.String())
	}
	gauge(descPeers, peers)
	gauge(descChannels, channels)
	for r, n := range c.counts.refused {
		count(descRefused, n, string(r))
	}
	count(descReceived, &c.counts.received)
	for d, n := range c.counts.dropped {
		count(descDropped, n, string(d))
	}
	count(descDenied, &c.counts.denied)
	count(descLate, &c.counts.late)
}

// throttle lets one log line of a kind pass in a while, and counts the others.
type throttle struct {
	last    time.Time
	skipped int
}

const throttleEvery = time.Second

// warn logs a line, at most one of its kind in a second. The lock is held.
func (c *Cloud) warn(kind, text string, fields ...zap.Field) {
	t := c.throttles[kind]
	if t == nil {
		t = &throttle{}
		c.throttles[kind] = t
	}
	now := time.Now()
	if now.Sub(t.last) < throttleEvery {
		t.skipped++
		return
	}
	if t.skipped > 0 {
		fields = append(fields, zap.Int("and-others", t.skipped))
	}
	t.last, t.skipped = now, 0
	c.log.Warn(text, fields...)
}
