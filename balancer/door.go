package balancer

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Reasons for which a connection is closed as soon as it was accepted, or to make room:
// the label of their metric.
const (
	shutFull  Reason = "max_conns"        // there are max-conns, and none of them rests
	shutPerIP Reason = "max_conns_per_ip" // its address has as many as it may
	shutRoom  Reason = "room"             // it rested, and made room for another
)

// door counts the connections of clients, those included that were taken over for a
// WebSocket or wait in a loop, and lets no more in than there may be.
type door struct {
	// Fixed after construction.
	most int // where max-conns is 0; 0 is no bound
	shut *prometheus.CounterVec

	mu sync.Mutex
	// Guarded by mu.
	open int
	byIP map[netip.Addr]int // of those that are open
}

func newDoor() *door {
	return &door{
		most: defaultMaxConns(),
		byIP: make(map[netip.Addr]int),
		shut: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "halley", Subsystem: "balancer", Name: "connections_shut_total",
			Help: "Connections of clients closed because there are too many, by reason: at once, or to make room.",
		}, []string{"reason"}),
	}
}

// spareFiles is how many file descriptors are left to what is neither a client's
// connection nor the connection to a comet that it may need.
const spareFiles = 200

// defaultMaxConns is how many connections of clients leave each a file descriptor for a
// connection to a comet; 0 where the system has no bound.
func defaultMaxConns() int {
	files := openFilesLimit()
	if files <= 0 {
		return 0
	}
	return max(files-spareFiles, files/2) / 2
}

// ticket is the place of one connection. It is kept by all who hold the connection, and is
// free when none does any more.
type ticket struct {
	door *door
	held atomic.Int32

	// Guarded by door.mu.
	ip netip.Addr
}

// enter gives a connection a place, or the reason why not. perIP is 0 for no bound.
func (d *door) enter(ip netip.Addr, most, perIP int) (*ticket, Reason) {
	if most == 0 {
		most = d.most
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case perIP > 0 && d.byIP[ip] >= perIP:
		return nil, shutPerIP
	case most > 0 && d.open >= most:
		return nil, shutFull
	}
	d.open++
	d.byIP[ip]++
	t := &ticket{door: d, ip: ip}
	t.held.Store(1)
	return t, ""
}

// hold is called by one more who has the connection, before the other lets go.
func (t *ticket) hold() *ticket {
	if t != nil {
		t.held.Add(1)
	}
	return t
}

// leave is called once by each of them.
func (t *ticket) leave() {
	if t == nil || t.held.Add(-1) != 0 {
		return
	}
	t.door.mu.Lock()
	defer t.door.mu.Unlock()
	t.door.open--
	if t.door.byIP[t.ip]--; t.door.byIP[t.ip] == 0 {
		delete(t.door.byIP, t.ip)
	}
}

// introduce counts the connection for the address of the client from now on, which a
// proxy has told; false when that has as many as it may.
func (t *ticket) introduce(ip netip.Addr, perIP int) bool {
	d := t.door
	d.mu.Lock()
	defer d.mu.Unlock()
	if perIP > 0 && d.byIP[ip] >= perIP {
		return false
	}
	if d.byIP[t.ip]--; d.byIP[t.ip] == 0 {
		delete(d.byIP, t.ip)
	}
	d.byIP[ip]++
	t.ip = ip
	return true
}

func (d *door) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

// letIn takes a connection that was accepted in; nil when it was closed instead.
func (b *Balancer) letIn(conn net.Conn) net.Conn {
	known := b.clients.know(conn)
	c, ok := known.(*clientConn)
	if !ok {
		return known
	}
	conf := b.inForce()
	ip := addrOf(conn)
	perIP := conf.MaxConnsPerIP
	if conf.proxies.trusts(ip) {
		perIP = 0
	}
	ip = conf.address(ip)
	t, why := b.door.enter(ip, conf.MaxConns, perIP)
	if why == shutFull && b.makeRoom() {
		t, why = b.door.enter(ip, conf.MaxConns, perIP)
	}
	if why != "" {
		b.door.shut.WithLabelValues(string(why)).Inc()
		conn.Close()
		return nil
	}
	c.ticket = t
	c.rests.Store(time.Now().UnixNano())
	return c
}

// makeRoom closes some of the connections that rest, those that have for longest: on
// them nothing came yet, or no whole head of a request, or they wait for the next one.
// It closes a hundredth of all at once, for to find them takes a look at all.
func (b *Balancer) makeRoom() bool {
	some := max(1, b.door.len()/100)
	n := b.lanes.vacate(some)
	if n == 0 {
		n = b.clients.vacate(some)
	}
	b.door.shut.WithLabelValues(string(shutRoom)).Add(float64(n))
	return n > 0
}

// vacate closes up to n connections that rest, the longest first.
func (c *clients) vacate(n int) int {
	type resting struct {
		conn  *clientConn
		since int64
	}
	var all []resting
	c.mu.Lock()
	for conn := range c.set {
		if cc, ok := conn.(*clientConn); ok {
			if since := cc.rests.Load(); since != 0 {
				all = append(all, resting{cc, since})
			}
		}
	}
	c.mu.Unlock()
	slices.SortFunc(all, func(a, b resting) int { return int(a.since - b.since) })
	closed := 0
	for _, r := range all[:min(n, len(all))] {
		if r.conn.rests.CompareAndSwap(r.since, 0) { // else a request has come
			r.conn.cutOff()
			closed++
		}
	}
	return closed
}

// addrOf is the address that is connected.
func addrOf(conn net.Conn) netip.Addr {
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return plain(a.AddrPort().Addr())
	}
	return netip.IPv4Unspecified()
}

var connectionsDesc = prometheus.NewDesc("halley_balancer_connections", "Connections of clients.", nil, nil)

// Describe is that of a prometheus.Collector.
func (d *door) Describe(ch chan<- *prometheus.Desc) {
	ch <- connectionsDesc
	d.shut.Describe(ch)
}

// Collect likewise.
func (d *door) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(connectionsDesc, prometheus.GaugeValue, float64(d.len()))
	d.shut.Collect(ch)
}
