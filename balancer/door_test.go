package balancer

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// silent opens a connection and says nothing; from is the address to come from.
func (r *running) silent(from string) net.Conn {
	r.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

// getsPage sends a request on a connection and reads the answer.
func getsPage(t *testing.T, conn net.Conn) error {
	t.Helper()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, "GET /page HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err == nil && !strings.HasPrefix(string(buf[:n]), "HTTP/1.1 200") {
		t.Errorf("answered %q", buf[:n])
	}
	return err
}

// shut tells that the other side has closed a connection.
func shut(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("it is open: %d, %v", n, err)
	}
}

// An address has as many connections as it may, WebSockets included; what it closes it
// may open again. Others, and trusted proxies, are not bounded by it.
func TestConnectionsOfAnAddress(t *testing.T) {
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			echoSocket(w, r)
			return
		}
		ok(w, r)
	})
	cfg := quick()
	cfg.MaxConnsPerIP, cfg.TrustedProxies = 3, []string{"127.0.0.3"}
	b := listing(t, cfg, a)
	socket, resp, err := (&websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return b.silent("127.0.0.2"), nil }}).Dial("ws://"+b.addr+"/cometd", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	first, second := b.silent("127.0.0.2"), b.silent("127.0.0.2")
	for _, conn := range []net.Conn{first, second} {
		if err := getsPage(t, conn); err != nil {
			t.Fatal(err)
		}
	}
	shut(t, b.silent("127.0.0.2"))
	if n := b.scrape("connections_shut_total", "reason=max_conns_per_ip"); n != 1 {
		t.Errorf("%v are counted", n)
	}
	if err := getsPage(t, b.silent("127.0.0.1")); err != nil {
		t.Errorf("another address: %v", err)
	}
	for range 5 {
		if err := getsPage(t, b.silent("127.0.0.3")); err != nil {
			t.Errorf("a proxy: %v", err)
		}
	}
	if err := getsPage(t, first); err != nil {
		t.Errorf("one that was there: %v", err)
	}
	again := func(what string) {
		t.Helper()
		b.until(what+" makes room", func() bool { return b.door.of("127.0.0.2") == 2 })
		if err := getsPage(t, b.silent("127.0.0.2")); err != nil {
			t.Errorf("after the end of %s: %v", what, err)
		}
	}
	first.Close()
	again("a connection")
	socket.Close()
	again("a WebSocket")
	b.stop()
	if n := b.door.len(); n != 0 {
		t.Errorf("%d are counted at the end", n)
	}
}

// of counts the connections of an address.
func (d *door) of(ip string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for addr, m := range d.byIP {
		if addr.String() == ip {
			n = m
		}
	}
	return n
}

// Connections that rest make room for new ones, the oldest first; those with a request
// under way and WebSockets do not, and when there are only such, new ones are closed.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	release := make(chan struct{})
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Upgrade") != "":
			echoSocket(w, r)
		case r.URL.Path == "/held":
			<-release
			fallthrough
		default:
			ok(w, r)
		}
	})
	defer close(release)
	cfg := quick()
	cfg.MaxConns = 20
	b := listing(t, cfg, a)
	socket := b.dial("/cometd")
	held := b.silent("127.0.0.1")
	io.WriteString(held, "GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
	b.until("the request is under way", func() bool { return a.requests() >= 2 })
	kept := b.silent("127.0.0.1")
	if err := getsPage(t, kept); err != nil {
		t.Fatal(err)
	}
	var silent []net.Conn
	for range 200 {
		silent = append(silent, b.silent("127.0.0.1"))
	}
	shut(t, kept) // it rested longest
	shut(t, silent[0])
	if err := getsPage(t, b.silent("127.0.0.1")); err != nil {
		t.Errorf("a client is not served: %v", err)
	}
	if n := b.door.len(); n > 20 {
		t.Errorf("%d are open", n)
	}
	if err := socket.WriteMessage(websocket.TextMessage, []byte("x")); err != nil {
		t.Error(err)
	}
	if _, _, err := socket.ReadMessage(); err != nil {
		t.Errorf("the WebSocket: %v", err)
	}
	if n := b.scrape("connections_shut_total", "reason=room"); n < 180 {
		t.Errorf("%v made room", n)
	}
	// Now all are busy.
	for b.scrape("connections_shut_total", "reason=max_conns") == 0 {
		before := a.requests()
		conn := b.silent("127.0.0.1")
		io.WriteString(conn, "GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
		b.until("it is under way, or closed", func() bool {
			return a.requests() > before || b.scrape("connections_shut_total", "reason=max_conns") > 0
		})
	}
}

func TestDefaultMaxConns(t *testing.T) {
	if files, n := openFilesLimit(), defaultMaxConns(); files > 0 && (n <= 0 || 2*n > files) {
		t.Errorf("%d of %d files", n, files)
	}
}
