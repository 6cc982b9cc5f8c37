package balancer

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// slowAnswer is more than the buffers of a slow client hold.
var slowAnswer = strings.Repeat("0123456789abcdef", maxLaneAnswer/16-64)

// slowly is a balancer, and a client with small buffers whose answer is being written.
func slowly(t *testing.T, cfg Config) (*running, *net.TCPConn) {
	t.Helper()
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", fmt.Sprint(len(slowAnswer)))
		io.WriteString(w, slowAnswer)
	})
	b := listing(t, cfg, a)
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1) })
	}}
	conn, err := dialer.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	b.untilLane("the connection has a small buffer", func(c *laneClient) bool {
		return c.sock.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 1) }) == nil
	})
	io.WriteString(conn, laneRequest(publish("1", "x")))
	return b, conn.(*net.TCPConn)
}

func writes(c *laneClient) bool { return c.state == clientWrites }

// An answer that its client takes slowly arrives whole, and delays nobody.
func TestLaneSlowReader(t *testing.T) {
	needsLanes(t)
	b, conn := slowly(t, quick())
	b.untilLane("the answer is being written", writes)
	if got := b.post(publish("2", "x")); got.status != 200 {
		t.Errorf("another client is answered %d", got.status)
	}
	if _, body := httpAnswer(t, bufio.NewReader(conn)); body != slowAnswer {
		t.Errorf("%d bytes arrived, want %d", len(body), len(slowAnswer))
	}
	if b.laned() != 2 {
		t.Errorf("%d by the lane, want 2", b.laned())
	}
}

// A client that takes nothing has limits.write-timeout.
func TestLaneWriteTimeout(t *testing.T) {
	needsLanes(t)
	cfg := quick()
	cfg.Limits.WriteTimeout = 50 * time.Millisecond
	b, _ := slowly(t, cfg)
	b.until("it is hung up on", func() bool { return b.laned() == 1 && b.lanes.len() == 0 })
}

// It is the silence that is bounded: what a client takes gives it new time.
func TestLaneWriteTimeoutAnew(t *testing.T) {
	needsLanes(t)
	cfg := quick()
	cfg.Limits.WriteTimeout = time.Hour
	b, conn := slowly(t, cfg)
	b.untilLane("the answer is being written", writes)
	cfg = b.inForce().Config
	cfg.Limits.WriteTimeout = 50 * time.Millisecond
	next, err := newInForce(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.live.now.Store(next)
	left := func() (n int) {
		b.inLanes(func(l *lane) {
			if l.first != nil {
				n = len(l.first.answer)
			}
		})
		return n
	}
	first := left()
	b.until("it takes some", func() bool {
		conn.Read(make([]byte, 512))
		return left() < first
	})
	b.until("it is hung up on", func() bool { return b.lanes.len() == 0 })
}
