package balancer

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/testenv"
)

// holdingAll is a comet that holds connects until they are let go of, and publishes too.
func holdingAll(t *testing.T) (c *fakeComet, came, gone chan struct{}) {
	came, gone = make(chan struct{}, 8), make(chan struct{}, 8)
	c = newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) == handshake {
			io.WriteString(w, "[]")
			return
		}
		came <- struct{}{}
		select {
		case <-r.Context().Done(): // its connection was closed
			gone <- struct{}{}
		case <-c.dead:
		}
	})
	return c, came, gone
}

// postRaw sends messages on a connection of their own.
func postRaw(t *testing.T, conn net.Conn, body string) {
	t.Helper()
	if _, err := fmt.Fprintf(conn, "POST /cometd HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		t.Fatal(err)
	}
}

func (r *running) connection() *net.TCPConn {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

// A client that goes away while the comet holds its poll takes the poll along: the
// comet sees its connection closed, and keeps the next message.
func TestClientOfAPollHangsUpBound(t *testing.T) {
	c, came, gone := holdingAll(t)
	b := listing(t, quick(), c)
	for i, tc := range []struct {
		name  string
		leave func(*net.TCPConn)
		body  string
	}{
		{"closed", func(c *net.TCPConn) { c.Close() }, connect("1", c.clientID())},
		{"reset", func(c *net.TCPConn) { reset(c) }, connect("1", c.clientID())},
		{"half closed", func(c *net.TCPConn) { c.CloseWrite() }, connect("1", c.clientID())},
		{"a publish", func(c *net.TCPConn) { c.Close() }, publish("1", c.clientID())},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn := b.connection()
			postRaw(t, conn, handshake) // answered at once: the same connection is not watched for it
			buf := make([]byte, 4096)
			if n, err := conn.Read(buf); err != nil {
				t.Fatalf("%q %v", buf[:n], err)
			}
			postRaw(t, conn, tc.body)
			<-came
			began := time.Now()
			tc.leave(conn)
			select {
			case <-gone:
			case <-time.After(20 * time.Second):
				t.Fatal("the comet still holds it")
			}
			if took := time.Since(began); took > testenv.Bound(100*time.Millisecond) {
				t.Errorf("the comet saw it after %v", took)
			}
			if tc.name == "half closed" {
				if n, err := conn.Read(buf); n > 0 || err == nil {
					t.Errorf("it was answered: %q", buf[:n])
				}
			}
			b.until("the hang-up counted", func() bool { return count(t, b.metrics.hangups) == float64(i+1) })
			b.until("nobody left", func() bool { return b.clients.len() == 0 && b.comet(c).up.conns() <= 1 })
			if held := count(t, b.metrics.held); held != 0 {
				t.Errorf("%v requests still wait", held)
			}
		})
	}
	if got := c.requests(); got != 8 {
		t.Errorf("the comet got %d requests", got)
	}
}

// A poll that waits for a comet is not sent to it any more when its client has gone.
func TestClientOfAPollWithoutACometHangsUp(t *testing.T) {
	c, _, _ := holdingAll(t)
	cfg := quick()
	cfg.Limits.Hold = time.Minute
	b := listing(t, cfg, c)
	addr := c.addr
	c.kill()
	b.untilState(c, Down)
	conn := b.connection()
	postRaw(t, conn, connect("1", c.clientID()))
	b.until("it is read", func() bool { return b.server.GetCurrentConcurrency() == 1 })
	conn.Close()
	b.until("the hang-up", func() bool { return count(t, b.metrics.hangups) == 1 })
	c.start(addr)
	b.untilState(c, Healthy)
	if got := c.requests(); got != 0 {
		t.Errorf("the comet got %d requests", got)
	}
}
