package balancer

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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
		const closeWait = 8 // the other side has ended
		for end, state := time.Now().Add(20*time.Second), uint8(0); state != closeWait && time.Now().Before(end); {
			_ = l.first.wire.sock.Control(func(fd uintptr) {
				if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
					state = info.State
				}
			})
		}
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
