package balancer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// nameServer is a name server with the zone that the test writes.
type nameServer struct {
	addr string

	mu    sync.Mutex
	zone  []dns.RR
	rcode int // unless 0, the answer to everything
}

func newNameServer(t *testing.T) *nameServer {
	t.Helper()
	n := &nameServer{}
	var conn net.PacketConn
	var ln net.Listener
	var err error
	for range 20 { // until a port is free for both
		if conn, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			continue
		}
		if ln, err = net.Listen("tcp", conn.LocalAddr().String()); err == nil {
			break
		}
		conn.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	n.addr = conn.LocalAddr().String()
	for _, s := range []*dns.Server{{PacketConn: conn}, {Listener: ln}} {
		s.Handler = dns.HandlerFunc(n.answer)
		started, ended := make(chan struct{}), make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { defer close(ended); s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { s.Shutdown(); <-ended })
	}
	return n
}

// has makes the records all that there are.
func (n *nameServer) has(t *testing.T, records ...string) {
	t.Helper()
	var zone []dns.RR
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			t.Fatal(err)
		}
		zone = append(zone, rr)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.zone = zone
}

func (n *nameServer) fails(rcode int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rcode = rcode
}

func (n *nameServer) answer(w dns.ResponseWriter, q *dns.Msg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	m.Rcode, m.Authoritative = n.rcode, true
	known := false
	for _, rr := range n.zone {
		if n.rcode == 0 && strings.EqualFold(rr.Header().Name, q.Question[0].Name) {
			known = true
			if rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
	}
	if !known && n.rcode == 0 {
		m.Rcode = dns.RcodeNameError
	}
	if w.LocalAddr().Network() == "udp" {
		m.Truncate(dns.MinMsgSize)
	}
	w.WriteMsg(m)
}

func TestLookUp(t *testing.T) {
	n := newNameServer(t)
	many := []string{"many.example. 0 A 10.9.0.0"}
	for i := range 99 {
		many = append(many, fmt.Sprintf("many.example. 0 A 10.9.0.%d", i+1))
	}
	n.has(t, append(many,
		"a.example. 0 A 10.0.0.2", "a.example. 0 A 10.0.0.1", "a.example. 0 AAAA fd00::1",
		"text.example. 0 TXT hello",
		"_cometd._tcp.example. 0 SRV 20 0 8080 b.example.", "_cometd._tcp.example. 0 SRV 10 60 8080 a.example.",
		"_cometd._tcp.example. 0 SRV 10 0 8081 b.example.", "_cometd._tcp.example. 0 SRV 10 5 8081 b.example.",
		"_cometd._tcp.example. 0 SRV 30 1 8082 gone.example.", "_cometd._tcp.example. 0 SRV 40 1 8083 b.example.",
		"b.example. 0 A 10.0.0.3",
		"_none._tcp.example. 0 SRV 0 0 0 .",
	)...)
	r := newResolver(n.addr)
	for text, want := range map[string]string{
		"dns://a.example:8080":            "10.0.0.1:8080 1/0, 10.0.0.2:8080 1/0, [fd00::1]:8080 1/0",
		"dns://A.example:8080 ipv4":       "10.0.0.1:8080 1/0, 10.0.0.2:8080 1/0",
		"dns://a.example ipv6":            "[fd00::1]:80 1/0",
		"srv://_cometd._tcp.example":      "10.0.0.1:8080 60/0, 10.0.0.2:8080 60/0, [fd00::1]:8080 60/0, 10.0.0.3:8081 5/0, 10.0.0.3:8080 1/1, 10.0.0.3:8083 1/3",
		"srv://_cometd._tcp.example ipv4": "10.0.0.1:8080 60/0, 10.0.0.2:8080 60/0, 10.0.0.3:8081 5/0, 10.0.0.3:8080 1/1, 10.0.0.3:8083 1/3",
		"dns://gone.example":              "empty",
		"dns://text.example":              "empty",
		"srv://_none._tcp.example":        "empty",
		"srv://_gone._tcp.example":        "empty",
	} {
		e, err := parseEntry(text)
		if err != nil {
			t.Fatal(err)
		}
		list, err := lookUp(t.Context(), r, e.lookup)
		if got := spelled(list, err); got != want {
			t.Errorf("%s: %s (%v), want %s", text, got, err, want)
		}
	}
	if list, err := lookUp(t.Context(), r, lookup{network: "ip4", scheme: "http", name: "many.example", port: "80"}); len(list) != 100 {
		t.Errorf("an answer over TCP: %d comets, %v", len(list), err)
	}
	n.fails(dns.RcodeServerFailure)
	if _, err := lookUp(t.Context(), r, lookup{network: "ip", scheme: "http", name: "a.example", port: "80"}); resultOf(err) != lookupFailed {
		t.Errorf("a name server that fails: %v", err)
	}
	if _, err := lookUp(t.Context(), r, lookup{srv: true, network: "ip", scheme: "http", name: "_cometd._tcp.example"}); resultOf(err) != lookupFailed {
		t.Errorf("a name server that fails: %v", err)
	}
}

// spelled is an answer as a text: addr weight/tier.
func spelled(list []listedComet, err error) string {
	if err != nil {
		return string(resultOf(err))
	}
	var out []string
	for _, l := range list {
		out = append(out, fmt.Sprintf("%s %d/%d", l.addr, l.weight, l.tier))
	}
	return strings.Join(out, ", ")
}

// dnsTable answers by a table, as a resolver.
type dnsTable struct {
	mu    sync.Mutex
	hosts map[string][]string
	srv   map[string][]*net.SRV
	err   error
	asked map[string]int
}

func (d *dnsTable) LookupNetIP(_ context.Context, _, host string) (addrs []netip.Addr, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.asked == nil {
		d.asked = map[string]int{}
	}
	d.asked[host]++
	if d.err != nil {
		return nil, d.err
	}
	for _, a := range d.hosts[host] {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	if addrs == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return addrs, nil
}

func (d *dnsTable) LookupSRV(_ context.Context, _, _, name string) (string, []*net.SRV, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return "", nil, d.err
	}
	return "", slices.Clone(d.srv[name]), nil
}

func (d *dnsTable) set(host string, addrs ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hosts[host] = addrs
}

func (d *dnsTable) fails(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func (d *dnsTable) asks(host string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[host]
}

// A service whose target cannot be resolved for the moment is not known in part; one
// whose target is gone is.
func TestLookUpNotInPart(t *testing.T) {
	d := &dnsTable{hosts: map[string][]string{"a.": {"10.0.0.1"}}, srv: map[string][]*net.SRV{
		"_s._tcp.x": {{Target: "a.", Port: 80, Weight: 1}, {Target: "b.", Port: 80, Weight: 1}},
	}}
	l := lookup{srv: true, network: "ip", scheme: "http", name: "_s._tcp.x"}
	if list, err := lookUp(t.Context(), d, l); len(list) != 1 || err != nil {
		t.Errorf("%v, %v", list, err)
	}
	d.fails(errors.New("timeout"))
	if list, err := lookUp(t.Context(), d, l); list != nil || resultOf(err) != lookupFailed {
		t.Errorf("%v, %v", list, err)
	}
}

func TestAnswersTake(t *testing.T) {
	of := func(text string) (list []listedComet) {
		for _, addr := range strings.Fields(text) {
			list = append(list, listedComet{cometURL: cometURL{addr: addr}, weight: 1})
		}
		return list
	}
	var a answers
	for i, step := range []struct {
		got, want string
		changed   bool
	}{
		{"a b", "a b", true},
		{"a b", "a b", false},
		{"a c", "a c b", true}, // c is new, b is missing for the first time
		{"a c", "a c", true},   // and for the second
		{"a c", "a c", false},
		{"c", "c a", true},
		{"a c", "a c", true}, // a was away for one answer
		{"b", "b a c", true},
		{"b", "b", true},
	} {
		changed := a.take(of(step.got))
		var got []string
		for _, l := range a.list {
			got = append(got, l.addr)
		}
		if s := strings.Join(got, " "); s != step.want || changed != step.changed {
			t.Errorf("step %d, %s: %s, changed %v; want %s, %v", i, step.got, s, changed, step.want, step.changed)
		}
	}
	heavy := of("b")
	heavy[0].weight = 2
	if !a.take(heavy) || a.list[0].weight != 2 {
		t.Error("another weight is no change")
	}
}

// A name server that does not answer costs the time that is meant for it.
func TestLookUpTime(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = lookUp(ctx, newResolver(silent.LocalAddr().String()), lookup{network: "ip4", scheme: "http", name: "a.example", port: "80"})
	if resultOf(err) != lookupFailed {
		t.Errorf("%v", err)
	}
}
