package cut

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

func TestFilters(t *testing.T) {
	big := append([]byte{0x81, 126, 1, 0}, make([]byte, 256)...)
	for _, tc := range []struct {
		name   string
		filter Filter
		given  []string
		want   int
	}{
		{"nothing", Nothing(), []string{"abc"}, 0},
		{"bytes", Bytes(4), []string{"abc", "def", "g"}, 4},
		{"body", Body(2), []string{"HTTP/1.1 200 OK\r\n\r", "\n[{}]", "x"}, 21},
		{"body in another piece", Body(1), []string{"a\r\n\r\n", "bc"}, 6},
		{"frames", Frames(1), []string{"\x81\x02a", "b\x81\x01", "c"}, 4},
		{"two frames", Frames(2), []string{"\x81", "\x00\x81\x01x\x81"}, 5},
		{"a large frame", Frames(1), []string{string(big[:3]), string(big[3:]), "\x81\x00"}, 260},
	} {
		got := 0
		for _, s := range tc.given {
			got += tc.filter([]byte(s))
		}
		if got != tc.want {
			t.Errorf("%s: %d bytes pass, want %d", tc.name, got, tc.want)
		}
	}
}

// dial opens a connection through a proxy and returns both ends.
func dial(t *testing.T) (p *Proxy, client, comet net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p = New(t, ln.Addr().String())
	if client, err = net.Dial("tcp", p.Addr()); err != nil {
		t.Fatal(err)
	}
	if comet, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); comet.Close() })
	for _, c := range []net.Conn{client, comet} {
		c.SetDeadline(time.Now().Add(10 * time.Second))
	}
	say(t, client, comet, "up")
	say(t, comet, client, "down")
	return p, client, comet
}

func say(t *testing.T, from, to net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(from, text); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, len(text))
	if _, err := io.ReadFull(to, buf); err != nil || string(buf) != text {
		t.Fatalf("%q came as %q, %v", text, buf, err)
	}
}

func TestCut(t *testing.T) {
	p, client, comet := dial(t)
	p.FromComet(Bytes(2))
	io.WriteString(comet, "answer")
	buf := make([]byte, 10)
	if n, err := client.Read(buf); string(buf[:n]) != "an" {
		t.Errorf("%q passes, %v", buf[:n], err)
	}
	say(t, client, comet, "the other way")
	if !p.ClientSpokeLast() {
		t.Error("not the client spoke last")
	}
	if up, down := p.Dropped(); up != 0 || down != 4 {
		t.Errorf("%d and %d bytes dropped", up, down)
	}
	p.Cut()
	for _, c := range []net.Conn{client, comet} {
		if n, err := c.Read(buf); n != 0 || err == nil {
			t.Errorf("after the cut: %q, %v", buf[:n], err)
		}
	}
}

func TestAbandon(t *testing.T) {
	p, client, comet := dial(t)
	p.Abandon()
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("the client is still there")
	}
	// What the comet writes is taken; it hears nothing, not even an end.
	if _, err := io.WriteString(comet, "into the void"); err != nil {
		t.Error(err)
	}
	comet.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := comet.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the comet reads %v, want to wait", err)
	}
}
