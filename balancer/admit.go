package balancer

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Reasons for which a request is sent away for its pace.
const (
	// ReasonHandshakeRate: more handshakes than the comets take well.
	ReasonHandshakeRate Reason = "handshake_rate"
	// ReasonHandshakePrefix: more than one network of clients may begin.
	ReasonHandshakePrefix Reason = "handshake_rate_prefix"
	// ReasonRequestsPerIP: more requests than one address may send.
	ReasonRequestsPerIP Reason = "requests_per_ip"
)

const (
	// maxPaces is how many networks, and how many addresses, are remembered. Each takes
	// about 100 bytes.
	maxPaces = 100_000
	// requestsBurst is how much of requests-per-ip is saved up: a page opens with
	// several requests at once.
	requestsBurst = 2 * time.Second
)

// admission admits what begins a session, at a pace.
type admission struct {
	// Fixed after construction.
	clock func() time.Time
	since time.Time

	// Safe for any goroutine.
	waiting atomic.Int64 // those that have their turn ahead

	mu sync.Mutex
	// Guarded by mu.
	all      pace
	networks paces[netip.Prefix]
	ips      paces[netip.Addr]
}

func newAdmission(clock func() time.Time) *admission {
	return &admission{
		clock: clock, since: clock().Add(-time.Hour), // nothing came before: whatever may be saved up is
		networks: newPaces[netip.Prefix](maxPaces), ips: newPaces[netip.Addr](maxPaces),
	}
}

// now is by the monotonic clock.
func (a *admission) now() int64 { return int64(a.clock().Sub(a.since)) }

// handshake lets a handshake of a client through after the time that it returns; or,
// with a reason, tells after how long the client is to come back. takers are the comets
// that share the rate.
func (a *admission) handshake(conf *Config, ip netip.Addr, takers int) (after time.Duration, why Reason) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	var wait time.Duration
	if rate := conf.HandshakeRatePrefix; rate > 0 {
		after, ok := a.networks.take(conf.network(ip), now, time.Second/time.Duration(rate), time.Second, conf.HandshakeWait)
		if !ok {
			return after, ReasonHandshakePrefix
		}
		wait = after
	}
	rate := time.Duration(conf.HandshakeRate * max(1, takers))
	after, ok := a.all.take(now, time.Second/rate, conf.HandshakeBurst, conf.HandshakeWait)
	if !ok {
		return after, ReasonHandshakeRate
	}
	return max(after, wait), ""
}

// request tells whether an address may send a request, or after how long again.
func (a *admission) request(conf *Config, ip netip.Addr) (after time.Duration, ok bool) {
	rate := conf.RequestsPerIP
	if rate <= 0 {
		return 0, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ips.take(conf.address(ip), a.now(), time.Second/time.Duration(rate), requestsBurst, 0)
}

// mayRequest is request for who leaves it to others to send the client away: they ask
// again.
func (a *admission) mayRequest(conf *Config, ip netip.Addr) bool {
	rate := conf.RequestsPerIP
	if rate <= 0 {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now, key := a.now(), conf.address(ip)
	p := a.ips.of(key, now)
	ok := p.try(now, time.Second/time.Duration(rate), requestsBurst)
	a.ips.keep(key, p)
	return ok
}

var (
	waitingDesc = prometheus.NewDesc("halley_balancer_admitting", "Handshakes and upgrades waiting for their turn.", nil, nil)
	pacesDesc   = prometheus.NewDesc("halley_balancer_paced_clients", "Networks and addresses whose pace is remembered.", []string{"by"}, nil)
	lostDesc    = prometheus.NewDesc("halley_balancer_paced_forgotten_total", "Networks and addresses that were forgotten, for want of room, while they were held back.", []string{"by"}, nil)
)

// Describe is that of a prometheus.Collector.
func (a *admission) Describe(ch chan<- *prometheus.Desc) {
	ch <- waitingDesc
	ch <- pacesDesc
	ch <- lostDesc
}

// Collect likewise.
func (a *admission) Collect(ch chan<- prometheus.Metric) {
	a.mu.Lock()
	networks, ips, lostNetworks, lostIPs := a.networks.len(), a.ips.len(), a.networks.lost, a.ips.lost
	a.mu.Unlock()
	ch <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(a.waiting.Load()))
	for _, m := range []struct {
		by      string
		n, lost int
	}{{"network", networks, lostNetworks}, {"ip", ips, lostIPs}} {
		ch <- prometheus.MustNewConstMetric(pacesDesc, prometheus.GaugeValue, float64(m.n), m.by)
		ch <- prometheus.MustNewConstMetric(lostDesc, prometheus.CounterValue, float64(m.lost), m.by)
	}
}

// network is what of a client's address its handshakes are counted by.
func (c *Config) network(ip netip.Addr) netip.Prefix {
	bits := c.Routing.IPPrefix6
	if ip.Is4() {
		bits = c.Routing.IPPrefix4
	}
	net, _ := ip.Prefix(bits) // of no address, none
	return net
}

// address is what limits per address go by: an IPv4 address, and of IPv6 the network
// that a single host draws its addresses from.
func (c *Config) address(ip netip.Addr) netip.Addr {
	if net, err := ip.Prefix(c.Routing.IPPrefix6); err == nil && ip.Is6() {
		return net.Addr()
	}
	return ip
}

// admit has a request that begins a session wait for its turn. It is not admitted when
// it is to be answered with the advice to come back.
func (b *Balancer) admit(rq *exchange) (why Reason, admitted bool) {
	if rq.admitted || rq.kind != kindBayeux || !rq.handshake && !rq.upgrade {
		return "", true
	}
	takers := b.fleet.snapshot().takers()
	if takers == 0 {
		return "", true // it waits for a comet, and is asked again
	}
	rq.admitted = true
	after, why := b.admission.handshake(&rq.conf.Config, rq.ip, takers)
	if why != "" {
		rq.back = after
		return why, false
	}
	if after <= 0 {
		return "", true
	}
	b.admission.waiting.Add(1)
	defer b.admission.waiting.Add(-1)
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.stopping: // it is the next balancer's herd
	}
	return "", true
}

// tooFast tells whether a client sends more requests than it may; then the outcome is
// its answer.
func (b *Balancer) tooFast(rq *exchange) *outcome {
	after, ok := b.admission.request(&rq.conf.Config, rq.ip)
	if ok {
		return nil
	}
	return &outcome{why: ReasonRequestsPerIP, reply: tooMany(after), back: after}
}
