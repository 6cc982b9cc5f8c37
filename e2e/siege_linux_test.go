package e2e

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/rig"
	"github.com/halleycomet/halley/internal/testenv"
)

// siege is a balancer in front of one comet, with clients that mean no harm.
type siege struct {
	t    *testing.T
	p    *proc.Process
	addr netip.AddrPort
	// Of the comet.
	big, sockets atomic.Int32 // that it is answering, and that stand
	odd          atomic.Int32 // requests that should not have come
	asked        atomic.Int32 // plain questions
	written      atomic.Int64 // bytes of big answers, and to sockets
}

func besiege(t *testing.T, args ...string) *siege {
	t.Helper()
	s := &siege{t: t}
	comet := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(comet.Close)
	ports := filepath.Join(t.TempDir(), "ports")
	s.p = proc.Start(t, proc.Spec{
		Name: "balancer", Path: proc.Program(t, "balancer"),
		Args: append([]string{"serve", "--name", "siege", "--listen", "127.0.0.1:0", "--comets", comet.URL, "--port-file", ports}, args...),
	})
	s.addr = netip.MustParseAddrPort(s.p.Ports(ports)["listen"])
	proc.Until(t, proc.Patience, "the balancer answers", func() error { _, err := s.p99(100 * time.Millisecond); return err })
	return s
}

// serve is the comet.
func (s *siege) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/big":
		s.big.Add(1)
		defer s.big.Add(-1)
		w.Header().Set("Content-Length", fmt.Sprint(64<<20))
		io.CopyN(w, zeros{&s.written}, 64<<20)
	case r.Header.Get("Upgrade") != "":
		s.sockets.Add(1)
		defer s.sockets.Add(-1)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			base64.StdEncoding.EncodeToString(sum[:]))
		flood := append([]byte{0x82, 126, 0x40, 0}, make([]byte, 0x4000)...)
		for err == nil {
			_, err = conn.Write(flood)
			s.written.Add(int64(len(flood)))
		}
	case r.Method == http.MethodGet:
		s.asked.Add(1)
	default:
		body, err := io.ReadAll(r.Body)
		if err != nil || len(body) == 0 || r.Header.Get("Odd") != "" {
			s.odd.Add(1)
		}
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		w.Header().Set("Content-Length", fmt.Sprint(len(rig.ReplyBody)))
		io.WriteString(w, rig.ReplyBody)
	}
}

type zeros struct{ count *atomic.Int64 }

func (z zeros) Read(p []byte) (int, error) {
	z.count.Add(int64(len(p)))
	return len(p), nil
}

// full waits until all buffers on the way are, and nothing moves any more.
func (s *siege) full() {
	s.t.Helper()
	last, still := int64(-1), 0
	proc.Until(s.t, proc.Patience, "nothing moves", func() error {
		n := s.written.Load()
		if n == last {
			still++
		} else {
			last, still = n, 0
		}
		if still < 15 { // 20 ms each
			return fmt.Errorf("%d bytes", n)
		}
		return nil
	})
}

// p99 is the latency of clients that publish 400 times a second for so long.
func (s *siege) p99(during time.Duration) (time.Duration, error) {
	c, err := rig.Dial(s.addr, 0, 8)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	var posts [][]byte
	for i := range 8 {
		posts = append(posts, rig.Publish(fmt.Sprintf("browser%d", i)))
	}
	latencies, err := c.Open(posts, 400, during)
	if err != nil {
		return 0, err
	}
	return time.Duration(latencies.ValueAtQuantile(99)), nil
}

// served wants others to be served meanwhile as they were before.
func (s *siege) served(what string, before time.Duration) {
	s.t.Helper()
	during, err := s.p99(2 * time.Second)
	if err != nil {
		s.t.Fatalf("%s: others are not served: %v", what, err)
	}
	s.t.Logf("%s: p99 of others %v, before %v", what, during, before)
	// What others do on the machine makes some milliseconds of nothing.
	if most := max(time.Duration(testenv.Ratio(3)*float64(before)), testenv.Bound(25*time.Millisecond)); during > most {
		s.t.Errorf("%s: p99 of others %v, before %v", what, during, before)
	}
}

func (s *siege) calm() time.Duration {
	s.t.Helper()
	d, err := s.p99(2 * time.Second)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *siege) usage() rig.Usage {
	s.t.Helper()
	u, err := rig.UsageOf(s.p.PID())
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

// connect opens n connections and writes to each what words gives.
func (s *siege) connect(n int, words func(i int) string) []net.Conn {
	s.t.Helper()
	var conns []net.Conn
	for i := range n {
		d := net.Dialer{Timeout: proc.Patience, LocalAddr: &net.TCPAddr{IP: rig.LocalAddress(100 + i).AsSlice()}}
		conn, err := d.Dial("tcp", s.addr.String())
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { conn.Close() })
		if _, err := io.WriteString(conn, words(i)); err != nil {
			s.t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	return conns
}

// memory bounds what each of n connections costs.
func (s *siege) memory(what string, before rig.Usage, n int, most float64) {
	s.t.Helper()
	each := float64(s.usage().Resident-before.Resident) / 1024 / float64(n)
	s.t.Logf("%s: %.1f KiB for each of %d", what, each, n)
	if each > testenv.Ratio(most) && !testenv.Race {
		s.t.Errorf("%s: %.1f KiB for each of %d", what, each, n)
	}
}

// over wants the balancer to have let go of all of it.
func (s *siege) over(what string, before rig.Usage, within time.Duration) {
	s.t.Helper()
	proc.Until(s.t, within, what+" is over", func() error {
		// Those that meant no harm may have left some connections to the comet.
		if n := s.usage().Files; n > before.Files+40 {
			return fmt.Errorf("%d files are open, %d were before", n, before.Files)
		}
		return nil
	})
	if n := s.odd.Load(); n > 0 {
		s.t.Errorf("%s: the comet got %d requests of it", what, n)
	}
}

// Thousands of connections say nothing, or half of something: each costs little, is closed in time, and
// nobody else notices.
func TestSilentConnectionsBound(t *testing.T) {
	s := besiege(t, "--read-timeout", "6s", "--idle-timeout", "6s")
	calm, before := s.calm(), s.usage()
	n := testenv.Clients(6000)
	began := time.Now()
	s.connect(n, func(i int) string {
		return []string{
			"",
			"POST /cometd HTTP/1.1\r\nHost: h\r\nOdd: 1\r\nContent-Le",
			"POST /cometd HTTP/1.1\r\nHost: h\r\nOdd: 1\r\nContent-Length: 100\r\n\r\n[{",
		}[i%3]
	})
	if since := time.Since(began); since < 3*time.Second {
		s.served("silent connections", calm)
		s.memory("silent connections", before, n, 32)
	} else {
		t.Logf("to connect took %v: the first are gone", since)
	}
	s.over("the silence", before, testenv.Bound(20*time.Second))
	s.served("after silent connections", calm)
}

// Connections that send a byte now and then do not get more time than others.
func TestSlowSendersBound(t *testing.T) {
	s := besiege(t, "--read-timeout", "2s")
	calm, before := s.calm(), s.usage()
	n := testenv.Clients(1000)
	began := time.Now()
	conns := s.connect(n, func(i int) string {
		return []string{
			"POST /cometd HTTP/1.1\r\nHost: h\r\nOdd: ",
			"POST /cometd HTTP/1.1\r\nHost: h\r\nOdd: 1\r\nContent-Length: 10000\r\n\r\n[",
			"POST /cometd HTTP/1.1\r\nHost: h\r\nOdd: 1\r\nTransfer-Encoding: chunked\r\n\r\n4000\r\n[",
			"\r\n",
		}[i%4]
	})
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				for i, conn := range conns {
					conn.Write([]byte{" x\n"[min(i%4, 1)+i%4/3]}) // fails when the balancer has closed it
				}
			}
		}
	}()
	s.served("slow senders", calm)
	for i, conn := range conns {
		conn.SetReadDeadline(began.Add(testenv.Bound(8 * time.Second)))
		if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
			t.Fatalf("connection %d still stands: %v", i, err)
		}
	}
	close(stop)
	<-ended
	s.over("slow sending", before, proc.Patience)
}

func isTimeout(err error) bool {
	return err != nil && strings.Contains(err.Error(), "i/o timeout")
}

// Clients that do not read what they asked for hold little of it in the balancer, and lose their
// connections when they have taken nothing for too long.
func TestSlowReadersBound(t *testing.T) {
	s := besiege(t, "--write-timeout", "8s")
	calm, before := s.calm(), s.usage()
	n := testenv.Clients(50)
	s.connect(n, func(int) string { return "GET /big HTTP/1.1\r\nHost: h\r\n\r\n" })
	proc.Until(t, proc.Patience, "all answers have begun", func() error {
		if k := s.big.Load(); int(k) < n {
			return fmt.Errorf("%d", k)
		}
		return nil
	})
	s.full()
	s.served("slow readers", calm)
	s.memory("slow readers", before, n, 256)
	proc.Until(t, testenv.Bound(20*time.Second), "the comet is rid of them", func() error {
		if k := s.big.Load(); k > 0 {
			return fmt.Errorf("%d answers are written", k)
		}
		return nil
	})
	s.over("slow reading", before, proc.Patience)
}

// The same with WebSockets whose clients never read while the comet sends all it can.
func TestSocketsNeverReadBound(t *testing.T) {
	s := besiege(t, "--write-timeout", "8s")
	calm, before := s.calm(), s.usage()
	n := testenv.Clients(50)
	conns := s.connect(n, func(int) string {
		return "GET /cometd HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	})
	for _, conn := range conns {
		conn.SetReadDeadline(time.Now().Add(proc.Patience))
		if line, err := bufio.NewReaderSize(conn, 16).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 101 ") {
			t.Fatalf("%q, %v", line, err)
		}
	}
	s.full()
	s.served("sockets that never read", calm)
	s.memory("sockets that never read", before, n, 256)
	proc.Until(t, testenv.Bound(20*time.Second), "the comet is rid of them", func() error {
		if k := s.sockets.Load(); k > 0 {
			return fmt.Errorf("%d sockets stand", k)
		}
		return nil
	})
	s.over("not reading", before, proc.Patience)
}
