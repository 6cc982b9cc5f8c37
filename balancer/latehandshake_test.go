package balancer

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/testenv"
)

// deafUntil reads nothing until its gate is opened.
type deafUntil struct {
	net.Conn
	gate <-chan struct{}
}

func (g deafUntil) Read(p []byte) (int, error) {
	<-g.gate
	return g.Conn.Read(p)
}

// shaking begins a handshake, which goes on when the gate is opened. It returns when
// the balancer has read the beginning.
func (s *secured) shaking(gate <-chan struct{}) (conn *tls.Conn, shook <-chan error) {
	s.t.Helper()
	before := s.greetedWho(func(c *clientConn) bool { return c.spoke.Load() })
	conn = tls.Client(deafUntil{s.connection(), gate}, s.client)
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	done := make(chan error, 1)
	go func() { done <- conn.Handshake() }()
	s.until("it is in its handshake", func() bool {
		return s.greetedWho(func(c *clientConn) bool { return c.spoke.Load() }) == before+1
	})
	return conn, done
}

func (s *secured) greetedWho(is func(*clientConn) bool) (n int) {
	s.greeted.mu.Lock()
	defer s.greeted.mu.Unlock()
	for e := s.greeted.order.Front(); e != nil; e = e.Next() {
		if is(e.Value.(*clientConn)) {
			n++
		}
	}
	return n
}

// hungUp waits until the balancer hangs up on who has said nothing.
func hungUp(t *testing.T, silent net.Conn) {
	t.Helper()
	silent.SetDeadline(time.Now().Add(20 * time.Second))
	if n, err := io.Copy(io.Discard, silent); n > 0 || err != nil {
		t.Fatalf("who is silent gets %d bytes, %v", n, err)
	}
}

const lastPage = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"

// Who is in the handshake of TLS when the balancer stops comes in, is answered, and told
// that the connection ends. Who has not begun with it is hung up on meanwhile.
func TestStopLetsHandshakesEnd(t *testing.T) {
	s := overTLS(t, quick(), newFakeComet(t, "a", ok))
	gate := make(chan struct{})
	conn, shook := s.shaking(gate)
	silent := s.connection()
	s.until("both are greeted", func() bool { return s.greeted.len() == 2 })
	stopped := make(chan struct{})
	go func() { s.stop(); close(stopped) }()
	hungUp(t, silent)
	close(gate)
	if err := <-shook; err != nil {
		t.Fatal(err)
	}
	if got := says(t, conn, lastPage); !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.Contains(got, "\r\nConnection: close\r\n") {
		t.Errorf("it gets %q", got)
	}
	<-stopped
}

// Its request has the time of the stop, too.
func TestStopAwaitsTheFirstRequest(t *testing.T) {
	s := overTLS(t, quick(), newFakeComet(t, "a", ok))
	gate := make(chan struct{})
	conn, shook := s.shaking(gate)
	silent := s.connection()
	s.until("both are greeted", func() bool { return s.greeted.len() == 2 })
	stopped := make(chan struct{})
	go func() { s.stop(); close(stopped) }()
	s.until("it stops", s.isStopping)
	close(gate)
	if err := <-shook; err != nil {
		t.Fatal(err)
	}
	hungUp(t, silent)
	if got := says(t, conn, lastPage); !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.Contains(got, "\r\nConnection: close\r\n") {
		t.Errorf("it gets %q", got)
	}
	<-stopped
}

// A handshake that does not end is cut off when the time is over, and so is one after
// which nothing comes.
func TestStopCutsHandshakes(t *testing.T) {
	cfg := quick()
	cfg.StopTime, cfg.TLS.HandshakeTimeout = 300*time.Millisecond, time.Hour
	s := overTLS(t, cfg, newFakeComet(t, "a", ok))
	gate, never := make(chan struct{}), make(chan struct{})
	defer close(never)
	conn, shook := s.shaking(gate)
	s.shaking(never)
	began := time.Now()
	stopped := make(chan struct{})
	go func() { s.stop(); close(stopped) }()
	s.until("it stops", s.isStopping)
	close(gate)
	if err := <-shook; err != nil {
		t.Fatal(err)
	}
	<-stopped
	if took := time.Since(began); took > testenv.Bound(2*time.Second) {
		t.Errorf("stopping took %v", took)
	}
	if n := s.greeted.len() + s.clients.len(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("it gets %d bytes", n)
	}
}
