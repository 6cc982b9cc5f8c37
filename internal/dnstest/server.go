// Package dnstest has what answers for the names of tests: a [Server] that is asked over
// the network, and a [Table] that stands in for a resolver.
package dnstest

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Server is a name server with the zone that the test writes.
type Server struct {
	// Addr is where it is asked, over UDP and TCP.
	Addr string

	mu    sync.Mutex
	zone  []dns.RR
	rcode int // unless 0, the answer to everything
}

// NewServer makes one that ends with the test.
func NewServer(t testing.TB) *Server {
	t.Helper()
	n := &Server{}
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
	n.Addr = conn.LocalAddr().String()
	for _, s := range []*dns.Server{{PacketConn: conn}, {Listener: ln}} {
		s.Handler = dns.HandlerFunc(n.answer)
		started, ended := make(chan struct{}), make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() {
			defer close(ended)
			if err := s.ActivateAndServe(); err != nil {
				t.Errorf("name server: %v", err)
			}
		}()
		<-started
		t.Cleanup(func() {
			if err := s.Shutdown(); err != nil {
				t.Errorf("name server: %v", err)
			}
			<-ended
		})
	}
	return n
}

// Has makes the records all that there are.
func (n *Server) Has(t testing.TB, records ...string) {
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

// Fails has every question answered with SERVFAIL from now on.
func (n *Server) Fails() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rcode = dns.RcodeServerFailure
}

func (n *Server) answer(w dns.ResponseWriter, q *dns.Msg) {
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
	_ = w.WriteMsg(m) // who asked may have given up
}
