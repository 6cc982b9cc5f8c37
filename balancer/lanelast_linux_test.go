package balancer

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/park"
	"golang.org/x/sys/unix"
)

const brief = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"

// keptInLanes is how many connections to comets rest in the lanes.
func (r *running) keptInLanes() (n int) {
	r.t.Helper()
	r.inLanes(func(l *lane) {
		for _, p := range l.pools {
			n += len(p.idle)
		}
	})
	return n
}

// A connection to a comet that ends when the comet has its request, or a part of it,
// leaves it open what became of that: nothing is sent twice.
func TestLaneSendsNothingTwice(t *testing.T) {
	needsLanes(t)
	for name, message := range map[string]string{
		"all was sent": publish("2", "x"),
		"a part was":   `[{"id":"2","channel":"/a","clientId":"x","data":"` + strings.Repeat("y", maxLaneBody-100) + `"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			var came atomic.Int32
			stuck := make(chan struct{})
			b := scriptedOne(t, scripted(t, func(conn *net.TCPConn, br *bufio.Reader, _ string, length int) bool {
				if came.Add(1) == 1 {
					io.CopyN(io.Discard, br, int64(length))
					_, err := io.WriteString(conn, brief)
					return err == nil
				}
				if length < maxLaneBody/2 {
					io.CopyN(io.Discard, br, int64(length))
					return false
				}
				<-stuck
				conn.SetLinger(0) // it ends in a reset
				return false
			}))
			conn := b.connection()
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			br := bufio.NewReader(conn)
			io.WriteString(conn, laneRequest(publish("1", "x")))
			httpAnswer(t, br)
			b.inLanes(func(l *lane) {
				for _, p := range l.pools {
					for _, w := range p.idle {
						_ = w.sock.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 1) })
					}
				}
			})
			io.WriteString(conn, laneRequest(message))
			if len(message) > maxLaneBody/2 {
				b.untilLane("a part was sent", func(c *laneClient) bool { return c.wire != nil && c.wire.state == wireSends })
			}
			close(stuck)
			if res, body := httpAnswer(t, br); res.StatusCode != http.StatusOK || !strings.Contains(body, "502::comet_lost") {
				t.Errorf("answered %d %q", res.StatusCode, body)
			}
			if n := came.Load(); n != 2 {
				t.Errorf("the comet got %d requests", n)
			}
		})
	}
}

// An answer that came before the comet broke off the request counts.
func TestLaneAnswerBeforeAReset(t *testing.T) {
	needsLanes(t)
	answer := make(chan struct{})
	b := scriptedOne(t, scripted(t, func(conn *net.TCPConn, br *bufio.Reader, _ string, length int) bool {
		if length < maxLaneBody/2 {
			io.CopyN(io.Discard, br, int64(length))
			_, err := io.WriteString(conn, brief)
			return err == nil
		}
		<-answer
		io.WriteString(conn, strings.ReplaceAll(brief, "[]", "{}"))
		conn.SetLinger(0)
		return false
	}))
	conn := b.connection()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	br := bufio.NewReader(conn)
	io.WriteString(conn, laneRequest(publish("1", "x")))
	httpAnswer(t, br)
	b.inLanes(func(l *lane) {
		for _, p := range l.pools {
			for _, w := range p.idle {
				_ = w.sock.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 1) })
			}
		}
	})
	io.WriteString(conn, laneRequest(`[{"channel":"/a","data":"`+strings.Repeat("y", maxLaneBody-100)+`"}]`))
	sends := func(c *laneClient) bool { return c.wire != nil && c.wire.state == wireSends }
	b.untilLane("a part was sent", sends)
	b.inLanes(func(l *lane) {
		if l.first != nil && sends(l.first) {
			close(answer)
			untilTCP(&l.first.wire.sock, 7) // closed, by the reset
		}
	})
	if _, body := httpAnswer(t, br); body != "{}" {
		t.Errorf("answered %q", body)
	}
	if n := b.keptInLanes(); n != 0 {
		t.Errorf("%d connections are kept", n)
	}
}

// untilTCP waits, in the place of the loop, until the connection is in a state of TCP.
func untilTCP(s *park.Sock, state uint8) {
	now := uint8(0)
	for end := time.Now().Add(20 * time.Second); now != state && time.Now().Before(end); {
		_ = s.Control(func(fd uintptr) {
			if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
				now = info.State
			}
		})
	}
}

// A dial that hangs has limits.dial-timeout; then it is the handler's to dial.
func TestLaneHangingDial(t *testing.T) {
	needsLanes(t)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	full := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(name.(*unix.SockaddrInet4).Port))
	until(t, "nobody more gets in", func() bool {
		conn, err := net.DialTimeout("tcp", full.String(), 50*time.Millisecond)
		if err == nil {
			t.Cleanup(func() { conn.Close() })
		}
		return err != nil
	})
	cfg := quick()
	cfg.Limits.DialTimeout = 50 * time.Millisecond
	a := newFakeComet(t, "a", ok)
	b := listing(t, cfg, a)
	b.comet(a).up.seen.Store(&seen{addr: full})
	if got := b.post(publish("1", "x")); got.status != http.StatusOK || got.one(t).failed() {
		t.Errorf("answered %d %q", got.status, got.body)
	}
	if n := b.scrape("lane_exits_total", "reason=failed"); n != 1 {
		t.Errorf("%v have left the lane", n)
	}
}

// On a connection that has served before, too, an answer has limits.upstream-timeout.
func TestLaneWaitsForAnswers(t *testing.T) {
	needsLanes(t)
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	cfg := quick()
	cfg.Limits.UpstreamTimeout = 50 * time.Millisecond
	cfg.Comets = []string{scripted(t, func(conn *net.TCPConn, br *bufio.Reader, _ string, length int) bool {
		p, _ := br.Peek(length)
		silent := strings.Contains(string(p), "silent")
		br.Discard(length)
		if silent {
			<-end
			return false
		}
		_, err := io.WriteString(conn, brief)
		return err == nil
	})}
	b := run(t, cfg, nil)
	b.post(publish("1", "x"))
	if got := b.post(publish("silent", "x")); got.one(t).Error != "502::comet_lost" {
		t.Errorf("answered %d %q", got.status, got.body)
	}
	if n := b.scrape("lane_exits_total", "reason=failed"); n < 1 {
		t.Errorf("%v have left the lane", n)
	}
}

// Likewise by the handler: a reset of which the write was told leaves an end to be read,
// and perhaps no acknowledgement of what the comet has read.
func TestResetWithinARequest(t *testing.T) {
	p := newPool(t, nil)
	w, other := p.take(true)
	if fail := w.send(testRequest); fail != nil {
		t.Fatal(fail)
	}
	answerOn(t, other)
	if fail := w.await(&outgoing{wait: time.Second}, goAhead); fail != nil {
		t.Fatal(fail)
	}
	w.rest()
	raw, err := other.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0) })
	if fail := w.send(testRequest); fail != nil {
		t.Fatal(fail)
	}
	other.Read(make([]byte, 1))
	reset(other)
	until(t, "the write is told", func() bool {
		_, err := w.conn.Write([]byte("x")) // as if it were the rest of the request
		return err != nil
	})
	w.cut = true
	if fail := w.await(&outgoing{wait: time.Second}, goAhead); fail == nil || fail.stage != stageSent {
		t.Error(fail)
	}
	w.close()
}

// A connection on which something came behind an answer is not used again.
func TestLaneKeepsNothingBehindAnAnswer(t *testing.T) {
	needsLanes(t)
	b, comet := tapped(t, nil)
	comet.answerWith(tapAnswer + evil)
	conn := b.connection()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	postRaw(t, conn, publish("1", "x"))
	if _, body := httpAnswer(t, bufio.NewReader(conn)); body != "ok" {
		t.Errorf("answered %q", body)
	}
	if n := b.keptInLanes(); n != 0 || b.laned() != 1 {
		t.Errorf("%d connections are kept; %d by the lane", n, b.laned())
	}
}

// Neither is one that ends with its answer, of which nothing more is told.
func TestLaneKeepsNothingThatEnds(t *testing.T) {
	needsLanes(t)
	answer := make(chan struct{})
	b := scriptedOne(t, scripted(t, func(conn *net.TCPConn, br *bufio.Reader, _ string, length int) bool {
		io.CopyN(io.Discard, br, int64(length))
		<-answer
		io.WriteString(conn, brief)
		return false
	}))
	conn := b.connection()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	postRaw(t, conn, publish("1", "x"))
	waits := func(c *laneClient) bool { return c.wire != nil && c.wire.state == wireWaits }
	b.untilLane("it waits", waits)
	b.inLanes(func(l *lane) {
		if l.first == nil || !waits(l.first) {
			return
		}
		close(answer)
		untilTCP(&l.first.wire.sock, 8) // the other side has ended
	})
	if _, body := httpAnswer(t, bufio.NewReader(conn)); body != "[]" {
		t.Errorf("answered %q", body)
	}
	if n := b.keptInLanes(); n != 0 || b.laned() != 1 {
		t.Errorf("%d connections are kept; %d by the lane", n, b.laned())
	}
}

// Nor one on which the comet was told that nobody waits, and answered all the same.
func TestLaneKeepsNothingThatItEnded(t *testing.T) {
	needsLanes(t)
	answer, end := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(end) })
	b := scriptedOne(t, scripted(t, func(conn *net.TCPConn, br *bufio.Reader, _ string, length int) bool {
		io.CopyN(io.Discard, br, int64(length))
		<-answer
		io.WriteString(conn, brief)
		<-end
		return false
	}))
	conn := b.connection()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	postRaw(t, conn, connect("1", "x"))
	b.untilLane("it waits", func(c *laneClient) bool { return c.wire != nil && c.wire.state == wireWaits })
	b.inLanes(func(l *lane) {
		for _, p := range l.pools {
			p.fail(stageReleased, true)
			for w := p.first; w != nil; w = w.next {
				w.sock.ClearTimeout() // it may take as long as it likes
			}
		}
	})
	close(answer)
	if _, body := httpAnswer(t, bufio.NewReader(conn)); body != "[]" {
		t.Errorf("answered %q", body)
	}
	if n := b.keptInLanes(); n != 0 || b.laned() != 1 {
		t.Errorf("%d connections are kept; %d by the lane", n, b.laned())
	}
}
