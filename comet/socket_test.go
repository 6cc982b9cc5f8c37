package comet

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"

	"github.com/halleycomet/halley/internal/testenv"
)

const upgradeRequest = "GET /cometd HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// hearFrame reads the payload of one short frame.
func hearFrame(tb testing.TB, r *bufio.Reader) string {
	tb.Helper()
	size, err := frameSize(r.Peek)
	if err != nil {
		tb.Fatal(err)
	}
	frame := make([]byte, size)
	if _, err := io.ReadFull(r, frame); err != nil {
		tb.Fatal(err)
	}
	header, _ := headerSize(frame)
	return string(frame[header:])
}

// bothWays runs a test with sockets that are parked and with such that are not.
func bothWays(t *testing.T, test func(t *testing.T, start func(*testing.T, func(*Config)) *fixture)) {
	t.Run("parked", func(t *testing.T) {
		test(t, func(t *testing.T, change func(*Config)) *fixture { return startTCP(t, change) })
	})
	t.Run("not parked", func(t *testing.T) { test(t, startUnparked) })
}

// Frames may come with the request for the upgrade, and byte by byte.
func TestFramesInPieces(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(*testing.T, func(*Config)) *fixture) {
		f := start(t, nil)
		conn, r := f.raw()
		shake := masked(finBit|opText, []byte(`[{"channel":"/meta/handshake","id":"1"}]`))
		conn.Write(append([]byte(upgradeRequest), append(shake, shake[:7]...)...))
		if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 101 {
			t.Fatal(resp, err)
		}
		mustHold(t, hearFrame(t, r), `"successful":true`)
		for _, b := range shake[7:] {
			conn.Write([]byte{b})
		}
		mustHold(t, hearFrame(t, r), `"successful":true`)
		parts := [][]byte{masked(opText, []byte("[")), masked(finBit|opPing, []byte("now")), masked(0, nil), masked(finBit, []byte("]"))}
		conn.Write(bytes.Join(parts, nil))
		mustBe(t, hearFrame(t, r), "now")
		mustBe(t, hearFrame(t, r), "[]")
	})
}

// A client that asks and does not listen is not read any more; when it listens again
// it gets every reply.
func TestThrottledSocketGoesOn(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(*testing.T, func(*Config)) *fixture) {
		f := start(t, func(c *Config) { c.WebSocketPermessageDeflate = false })
		c := f.ws()
		raw := c.NetConn().(*net.TCPConn)
		raw.SetWriteBuffer(32 << 10)
		ask := masked(finBit|opText, []byte("["+strings.Repeat("{},", 2000)+"{}]"))
		asked, rest := 0, []byte(nil)
		for end := time.Now().Add(patience); !f.throttled(); {
			if time.Now().After(end) {
				t.Fatal("read without end")
			}
			if len(rest) == 0 {
				rest, asked = ask, asked+1
			}
			raw.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
			n, err := raw.Write(rest)
			if rest = rest[n:]; err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
		}
		for k := range f.sockets() {
			k.mu.Lock()
			if k.unsent > 2*replyLimit+readChunk*100 { // with those to what was read at once
				t.Errorf("%d bytes of replies wait", k.unsent)
			}
			k.mu.Unlock()
		}
		raw.SetWriteDeadline(time.Time{})
		go raw.Write(rest)
		for range asked {
			if got := c.hear(); strings.Count(got, `"successful":false`) != 2001 {
				t.Fatalf("%.100s…", got)
			}
		}
	})
}

// throttled tells whether a socket is not read because its replies are not.
func (f *fixture) throttled() bool {
	for k := range f.sockets() {
		k.mu.Lock()
		throttled := k.throttledLocked() && (k.stalled != nil && !k.reading || k.ease != nil)
		k.mu.Unlock()
		if throttled {
			return true
		}
	}
	return false
}

// A socket on which no frame comes is closed; a ping is enough to keep it.
func TestIdleSocketsEnd(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(*testing.T, func(*Config)) *fixture) {
		f := start(t, func(c *Config) {
			c.Timeout = 100 * time.Millisecond
			c.WebSocketIdleTimeout = testenv.Bound(500 * time.Millisecond)
			c.SweepPeriod = 10 * time.Millisecond
		})
		silent, pinging := f.ws(), f.ws()
		pongs := make(chan struct{}, 1)
		pinging.SetPongHandler(func(string) error { pongs <- struct{}{}; return nil })
		go pinging.ReadMessage()
		ended := make(chan struct{})
		go func() { silent.ReadMessage(); close(ended) }()
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for over, after := false, 0; after < 20; { // and a second more
			select {
			case <-ended:
				over, ended = true, nil
			case <-tick.C:
			}
			if over {
				after++
			}
			if err := pinging.WriteControl(websocket.PingMessage, nil, noDeadline); err != nil {
				t.Fatal(err)
			}
			receive(t, "a pong", pongs)
		}
		if n := len(f.sockets()); n != 1 {
			t.Errorf("%d sockets", n)
		}
	})
}

// In a server with settings of its own, which closes hijacked connections when their
// handler returns, sockets serve all the same.
func TestSocketInAnotherServer(t *testing.T) {
	s := testServer(t, time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{Handler: s.Handler}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	f := &fixture{Server: s, tb: t, dial: func() (net.Conn, error) { return net.Dial("tcp4", ln.Addr().String()) }}
	c, other := f.ws().shake("/b"), f.ws().shake()
	other.say(`[{"channel":"/b","clientId":"%","data":1}]`)
	mustBe(t, c.hear(), `[{"channel":"/b","data":1}]`)
	c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), noDeadline)
	if code := c.closed(); code != 1000 {
		t.Errorf("closed with %d", code)
	}
	eventually(t, "one socket", func() bool { return len(f.sockets()) == 1 })
	cancel()
	if code := other.closed(); code != 1001 {
		t.Errorf("closed with %d", code)
	}
	if err := receive(t, "the end of Run", ran); err != nil {
		t.Error(err)
	}
	server.Shutdown()
	<-served
}

// A socket on which nothing moves costs at most 8 KB of memory, with its session, a
// subscription and a connect that is held.
func TestIdleSocketMemoryBound(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector has memory of its own")
	}
	const n = 5000
	p := startProcess(t, "comet")
	before := p.ask("resident")
	if before == 0 {
		untold(t, errors.New("resident memory"))
	}
	gather(t, p.port, n, true)
	each := (p.ask("resident") - before) / n
	t.Logf("%d bytes for each of %d", each, n)
	if bound := int64(testenv.Ratio(8 << 10)); each > bound {
		t.Errorf("beyond %d", bound)
	}
}

// A broadcast costs the comet little more than it costs a bare loop, and is there
// about as soon.
func TestBroadcastBound(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector has costs of its own")
	}
	bounds := []float64{testenv.Ratio(1.2), testenv.Ratio(1.5)}
	medians := testenv.Settle(5, 25, bounds, steadyPairs(t, 40))
	for i, what := range []string{"CPU for a million deliveries", "p99"} {
		t.Logf("%s: %.2f of the bare loop's", what, medians[i])
		if medians[i] > bounds[i] {
			t.Errorf("%s: %.2f of the bare loop's, beyond %.2f", what, medians[i], bounds[i])
		}
	}
}
