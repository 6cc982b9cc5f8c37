package balancer

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/halleycomet/halley/internal/sticky"
	"github.com/halleycomet/halley/internal/tunnel"
	"github.com/halleycomet/halley/internal/wsframe"
	"github.com/halleycomet/halley/internal/wsframe/wsframetest"
)

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }, EnableCompression: true, Subprotocols: []string{"chat"}}

// echoSocket is a comet that says again what it is told over a WebSocket.
func echoSocket(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		kind, msg, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if conn.WriteMessage(kind, msg) != nil {
			return
		}
	}
}

func echoes(conn *websocket.Conn, text string) error {
	if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		return err
	}
	_, got, err := conn.ReadMessage()
	if err == nil && string(got) != text {
		err = fmt.Errorf("got %q", got)
	}
	return err
}

func (r *running) dial(path string, headers ...string) *websocket.Conn {
	r.t.Helper()
	h := http.Header{}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+r.addr+path, h)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

func TestTunnel(t *testing.T) { eachWay(t, testTunnel) }

func testTunnel(t *testing.T, way carriage) {
	a := newFakeComet(t, "a", echoSocket)
	b := way.listing(t, quick(), a)
	for _, compress := range []bool{false, true} {
		dialer := websocket.Dialer{EnableCompression: compress, Subprotocols: []string{"chat"}}
		conn, resp, err := dialer.Dial("ws://"+b.addr+"/other/path?x=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		if conn.Subprotocol() != "chat" {
			t.Errorf("subprotocol %q", conn.Subprotocol())
		}
		if ext := resp.Header.Get("Sec-WebSocket-Extensions"); (ext != "") != compress {
			t.Errorf("extensions %q", ext)
		}
		big := make([]byte, 3<<20)
		rand.Read(big)
		for _, text := range []string{"hello", "", strings.Repeat("x", 60_000), string(big)} {
			if err := conn.WriteMessage(websocket.BinaryMessage, []byte(text)); err != nil {
				t.Fatal(err)
			}
			if _, got, err := conn.ReadMessage(); err != nil || string(got) != text {
				t.Fatalf("%d bytes: %v", len(text), err)
			}
		}
		// A message in fragments.
		w, err := conn.NextWriter(websocket.TextMessage)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			io.WriteString(w, strings.Repeat("frag", 3000))
		}
		w.Close()
		if _, got, err := conn.ReadMessage(); err != nil || len(got) != 120_000 {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if got := b.carried(); got != way {
			t.Errorf("carried by %s", got)
		}
		if b.tunnels.Len() != 1 || b.comet(a).tunnels.Len() != 1 || count(t, b.metrics.tunnels) != 1 {
			t.Error("the tunnel is not known")
		}
		conn.Close()
		b.until("the tunnel has ended", func() bool {
			return b.tunnels.Len() == 0 && b.comet(a).tunnels.Len() == 0 && b.clients.len() == 0 && count(t, b.metrics.tunnels) == 0
		})
		b.until("its connection too", func() bool { return b.comet(a).up.conns() == 0 && b.comet(a).load.busy.Load() == 0 })
	}
}

// The comet of an own fleet names itself in the cookie of the 101; a tagged cookie
// decides where an upgrade goes.
func TestTunnelCookie(t *testing.T) {
	a, c := newFakeComet(t, "a", echoSocket), newFakeComet(t, "c", echoSocket)
	b := run(t, quick(), gossipOf(a, c))
	_, resp, err := websocket.DefaultDialer.Dial("ws://"+b.addr+"/cometd", nil)
	if err != nil {
		t.Fatal(err)
	}
	set := strings.TrimPrefix(strings.Split(resp.Header.Get("Set-Cookie"), ";")[0], "BAYEUX_BROWSER=")
	if tag, _, ok := sticky.SplitCookie(set); !ok || tag != b.comet(a).nameTag && tag != b.comet(c).nameTag {
		t.Errorf("Set-Cookie %q", resp.Header.Get("Set-Cookie"))
	}
	for _, own := range []*fakeComet{a, c} {
		before := own.requests()
		b.dial("/cometd", "Cookie: BAYEUX_BROWSER="+sticky.NewCookie(b.comet(own).nameTag))
		if own.requests() != before+1 {
			t.Errorf("the upgrade did not go to %s", own.name)
		}
	}
}

// rawSocket upgrades by hand and gives the connection to the test.
func rawSocket(conns chan<- net.Conn) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, _ := hijack(w)
		io.WriteString(conn, "HTTP/1.1 101 Odd Reason\r\nupgrade: websocket\r\nx-raw:  kept \r\nConnection: Upgrade\r\n\r\n")
		conns <- conn
	}
}

// rawDial upgrades by hand and returns the head of the answer.
func (r *running) rawDial(early string) (net.Conn, *bufio.Reader, string) {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET /cometd HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n%s", early)
	br := bufio.NewReader(conn)
	var head strings.Builder
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		line, err := br.ReadString('\n')
		if err != nil {
			r.t.Fatalf("%v after %q", err, head.String())
		}
		head.WriteString(line)
	}
	return conn, br, head.String()
}

// The 101 is passed on as it was written, and so is what came early on either side.
func TestTunnelIsRaw(t *testing.T) { eachWay(t, testTunnelIsRaw) }

func testTunnelIsRaw(t *testing.T, way carriage) {
	comets := make(chan net.Conn, 1)
	a := newFakeComet(t, "a", rawSocket(comets))
	b := way.listing(t, quick(), a)
	client, br, head := b.rawDial("early bytes")
	comet := <-comets
	defer comet.Close()
	if head != "HTTP/1.1 101 Odd Reason\r\nupgrade: websocket\r\nx-raw:  kept \r\nConnection: Upgrade\r\n\r\n" {
		t.Errorf("head %q", head)
	}
	buf := make([]byte, 11)
	if _, err := io.ReadFull(comet, buf); err != nil || string(buf) != "early bytes" {
		t.Errorf("%q %v", buf, err)
	}
	// The client's end is seen by the comet, and what the comet still says arrives.
	client.(*net.TCPConn).CloseWrite()
	if n, err := comet.Read(buf); !errors.Is(err, io.EOF) {
		t.Errorf("%d %v", n, err)
	}
	last := wsframetest.Frame(8, true, nil, false)
	comet.Write(last)
	comet.Close()
	if rest, err := io.ReadAll(br); err != nil || !bytes.Equal(rest, last) {
		t.Errorf("% x %v", rest, err)
	}
	b.until("the tunnel has ended", func() bool { return b.tunnels.Len() == 0 })
}

// How a client sees the end of its comet: a close frame where one may stand.
func TestTunnelEnds(t *testing.T) { eachWay(t, testTunnelEnds) }

func testTunnelEnds(t *testing.T, way carriage) {
	whole := wsframetest.Frame(1, true, []byte("whole"), false)
	half := wsframetest.Frame(1, true, bytes.Repeat([]byte("x"), 60_000), false)[:30_000]
	fragment := wsframetest.Frame(1, false, []byte("begun"), false)
	bye := wsframetest.Frame(8, true, []byte{3, 233}, false)
	end := func(code wsframe.Code) []byte { return wsframe.Close(code) }
	for _, tc := range []struct {
		name string
		sent []byte
		ends func(b *running, a *fakeComet, comet net.Conn)
		want []byte
	}{
		{"killed between frames", whole, func(_ *running, _ *fakeComet, c net.Conn) { c.Close() }, end(wsframe.Restart)},
		{"reset between frames", whole, func(_ *running, _ *fakeComet, c net.Conn) { reset(c) }, end(wsframe.Restart)},
		{"before any frame", nil, func(_ *running, _ *fakeComet, c net.Conn) { c.Close() }, end(wsframe.Restart)},
		{"between fragments", fragment, func(_ *running, _ *fakeComet, c net.Conn) { c.Close() }, end(wsframe.Restart)},
		{"in mid-frame", half, func(_ *running, _ *fakeComet, c net.Conn) { c.Close() }, nil},
		{"after its goodbye", bye, func(_ *running, _ *fakeComet, c net.Conn) { c.Close() }, nil},
		{"down, silent", whole, func(b *running, a *fakeComet, _ net.Conn) { b.fleet.unreachable(b.comet(a), timeoutError{}) }, end(wsframe.Restart)},
		{"down, silent in mid-frame", half, func(b *running, a *fakeComet, _ net.Conn) { b.fleet.unreachable(b.comet(a), timeoutError{}) }, nil},
		{"the balancer stops", whole, func(b *running, _ *fakeComet, _ net.Conn) { go b.stop() }, end(wsframe.GoingAway)},
		{"the balancer stops in mid-frame", half, func(b *running, _ *fakeComet, _ net.Conn) { go b.stop() }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			comets := make(chan net.Conn, 1)
			a := newFakeComet(t, "a", rawSocket(comets))
			b := way.listing(t, quick(), a)
			client, br, _ := b.rawDial("")
			comet := <-comets
			defer comet.Close()
			comet.Write(tc.sent)
			got := make([]byte, len(tc.sent))
			if _, err := io.ReadFull(br, got); err != nil || !bytes.Equal(got, tc.sent) {
				t.Fatalf("what was sent did not come: %v", err)
			}
			tc.ends(b, a, comet)
			client.SetReadDeadline(time.Now().Add(10 * time.Second))
			rest, err := io.ReadAll(br)
			if err != nil || !bytes.Equal(rest, tc.want) {
				t.Errorf("end % x %v, want % x", rest, err, tc.want)
			}
			client.Close()
			b.until("the tunnel has ended", func() bool { return b.tunnels.Len() == 0 && b.clients.len() == 0 })
			b.stop()
		})
	}
}

// A client that takes nothing holds its own tunnel up, and no longer than until it
// is shut.
func TestTunnelOfFrozenClient(t *testing.T) { eachWay(t, testTunnelOfFrozenClient) }

func testTunnelOfFrozenClient(t *testing.T, way carriage) {
	comets := make(chan net.Conn, 1)
	a := newFakeComet(t, "a", rawSocket(comets))
	b := way.listing(t, quick(), a)
	b.rawDial("")
	comet := <-comets
	var wg sync.WaitGroup
	wg.Go(func() {
		full := wsframetest.Frame(1, true, make([]byte, 60_000), false)
		for {
			if _, err := comet.Write(full); err != nil {
				return
			}
		}
	})
	b.until("nothing moves", func() bool {
		comet.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		wg.Wait()
		return true
	})
	b.fleet.unreachable(b.comet(a), timeoutError{})
	b.until("the tunnel has ended", func() bool { return b.tunnels.Len() == 0 && b.clients.len() == 0 })
	comet.Close()
}

// floods writes frames until the other side takes no more of them for good.
func floods(wg *sync.WaitGroup, conn net.Conn) {
	wg.Go(func() {
		full := wsframetest.Frame(1, true, make([]byte, 60_000), false)
		for {
			if _, err := conn.Write(full); err != nil {
				return
			}
		}
	})
}

// A side that takes nothing any more loses its tunnel, without anybody else's doing.
func TestTunnelIsStuck(t *testing.T) { eachWay(t, testTunnelIsStuck) }

func testTunnelIsStuck(t *testing.T, way carriage) {
	for _, stuck := range []tunnel.End{tunnel.ClientStuck, tunnel.CometStuck} {
		t.Run(stuck.String(), func(t *testing.T) {
			comets := make(chan net.Conn, 1)
			a := newFakeComet(t, "a", rawSocket(comets))
			cfg := quick()
			cfg.Limits.WriteTimeout = 200 * time.Millisecond
			b := way.listing(t, cfg, a)
			client, br, _ := b.rawDial("")
			comet := <-comets
			defer comet.Close()
			var wg sync.WaitGroup
			defer wg.Wait()
			if stuck == tunnel.ClientStuck {
				floods(&wg, comet)
			} else {
				floods(&wg, client)
				if rest, err := io.ReadAll(br); err != nil || !bytes.Equal(rest, wsframe.Close(wsframe.Restart)) {
					t.Errorf("the client is told % x %v", rest, err)
				}
			}
			b.until("the tunnel has ended", func() bool { return b.tunnels.Len() == 0 && b.clients.len() == 0 })
			if got := count(t, b.metrics.closed.WithLabelValues(stuck.String())); got != 1 {
				t.Errorf("counted %v times", got)
			}
			// What a stuck client has not taken is dropped, instead of being kept by the kernel.
			client.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.Copy(io.Discard, client); stuck == tunnel.ClientStuck && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client is told %v", err)
			}
		})
	}
}

// A client that takes a little now and then keeps its tunnel, however long it needs
// for one write.
func TestTunnelOfSlowClient(t *testing.T) { eachWay(t, testTunnelOfSlowClient) }

func testTunnelOfSlowClient(t *testing.T, way carriage) {
	comets := make(chan net.Conn, 1)
	a := newFakeComet(t, "a", rawSocket(comets))
	cfg := quick()
	cfg.Limits.WriteTimeout = 800 * time.Millisecond
	b := way.listing(t, cfg, a)
	client, br, _ := b.rawDial("")
	client.(*net.TCPConn).SetReadBuffer(16 << 10)
	comet := <-comets
	var wg sync.WaitGroup
	defer wg.Wait()
	defer comet.Close()
	floods(&wg, comet)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	buf := make([]byte, 64<<10)
	for began := time.Now(); time.Since(began) < 3*cfg.Limits.WriteTimeout; <-tick.C {
		if _, err := br.Read(buf); err != nil {
			t.Fatalf("cut after %v: %v", time.Since(began), err)
		}
	}
	if b.tunnels.Len() != 1 {
		t.Error("the tunnel has ended")
	}
}

// Whatever a comet answers but 101 is an answer like another.
func TestUpgradeRefusedByComet(t *testing.T) {
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "not here", http.StatusForbidden) })
	b := listing(t, quick(), a)
	_, resp, err := websocket.DefaultDialer.Dial("ws://"+b.addr+"/cometd", nil)
	if !errors.Is(err, websocket.ErrBadHandshake) || resp.StatusCode != http.StatusForbidden {
		t.Errorf("%v %+v", err, resp)
	}
}

// An upgrade whose comet refuses connections goes to another.
func TestUpgradeGoesElsewhere(t *testing.T) {
	a, c := newFakeComet(t, "a", echoSocket), newFakeComet(t, "c", echoSocket)
	cfg := quick()
	cfg.CheckInterval = time.Hour
	b := listing(t, cfg, a, c)
	cookie := "Cookie: BAYEUX_BROWSER=" + sticky.NewCookie(b.comet(a).nameTag)
	a.kill()
	if err := echoes(b.dial("/cometd", cookie), "hello"); err != nil || c.requests() != 1 {
		t.Errorf("%v, %d upgrades", err, c.requests())
	}
}
