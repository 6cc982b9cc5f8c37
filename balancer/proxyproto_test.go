package balancer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/tlstest"
)

// binaryHeader is a header of version 2.
func binaryHeader(command, family byte, body ...[]byte) string {
	var all []byte
	for _, b := range body {
		all = append(all, b...)
	}
	h := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), command, family)
	return string(append(binary.BigEndian.AppendUint16(h, uint16(len(all))), all...))
}

var (
	tcp4 = []byte{203, 0, 113, 7, 192, 0, 2, 1, 0x30, 0x39, 0x01, 0xbb}
	tcp6 = append(append(append([]byte{}, net.ParseIP("2001:db8::7")...), net.ParseIP("2001:db8::1")...), 0x30, 0x39, 0x01, 0xbb)
	path = make([]byte, 216)
	tlvs = []byte{0x04, 0, 3, 'a', 'b', 'c', 0x20, 0, 5, 1, 0, 0, 0, 0}
)

func TestProxyHeaders(t *testing.T) {
	const client4, client6 = "203.0.113.7:12345", "[2001:db8::7]:12345"
	for _, tc := range []struct {
		name, header, want string // want: the client; "local", or "malformed"
	}{
		{"v1 TCP4", "PROXY TCP4 203.0.113.7 192.0.2.1 12345 443\r\n", client4},
		{"v1 TCP6", "PROXY TCP6 2001:db8::7 2001:db8::1 12345 443\r\n", client6},
		{"v1 TCP6 of an IPv4 address", "PROXY TCP6 ::ffff:203.0.113.7 ::1 12345 443\r\n", client4},
		{"v1 UNKNOWN", "PROXY UNKNOWN\r\n", "local"},
		{"v1 UNKNOWN with addresses", "PROXY UNKNOWN ffff:f::1 ffff:f::2 65535 65535\r\n", "local"},
		{"v1 port 0", "PROXY TCP4 203.0.113.7 192.0.2.1 0 0\r\n", "203.0.113.7:0"},
		{"v1 LF alone", "PROXY TCP4 203.0.113.7 192.0.2.1 12345 443\n", "malformed"},
		{"v1 CR within", "PROXY TCP4 203.0.113.7\r 192.0.2.1 12345 443\r\n", "malformed"},
		{"v1 two spaces", "PROXY TCP4  203.0.113.7 192.0.2.1 12345 443\r\n", "malformed"},
		{"v1 a tab", "PROXY TCP4\t203.0.113.7 192.0.2.1 12345 443\r\n", "malformed"},
		{"v1 a space at the end", "PROXY TCP4 203.0.113.7 192.0.2.1 12345 443 \r\n", "malformed"},
		{"v1 too few", "PROXY TCP4 203.0.113.7 192.0.2.1 12345\r\n", "malformed"},
		{"v1 too many", "PROXY TCP4 203.0.113.7 192.0.2.1 12345 443 1\r\n", "malformed"},
		{"v1 nothing", "PROXY \r\n", "malformed"},
		{"v1 another family", "PROXY UDP4 203.0.113.7 192.0.2.1 12345 443\r\n", "malformed"},
		{"v1 small letters", "PROXY tcp4 203.0.113.7 192.0.2.1 12345 443\r\n", "malformed"},
		{"v1 of the wrong family", "PROXY TCP4 2001:db8::7 2001:db8::1 12345 443\r\n", "malformed"},
		{"v1 of the other wrong family", "PROXY TCP6 203.0.113.7 192.0.2.1 12345 443\r\n", "malformed"},
		{"v1 an octet too large", "PROXY TCP4 203.0.113.256 192.0.2.1 12345 443\r\n", "malformed"},
		{"v1 octal", "PROXY TCP4 203.0.113.007 192.0.2.1 12345 443\r\n", "malformed"},
		{"v1 a zone", "PROXY TCP6 fe80::1%eth0 ::1 12345 443\r\n", "malformed"},
		{"v1 a port too large", "PROXY TCP4 203.0.113.7 192.0.2.1 65536 443\r\n", "malformed"},
		{"v1 a signed port", "PROXY TCP4 203.0.113.7 192.0.2.1 +1 443\r\n", "malformed"},
		{"v1 a port with zeroes", "PROXY TCP4 203.0.113.7 192.0.2.1 0080 443\r\n", "malformed"},
		{"v1 no address", "PROXY TCP4 0.0.0.0 192.0.2.1 12345 443\r\n", "malformed"},
		{"v1 many are meant", "PROXY TCP4 224.0.0.1 192.0.2.1 12345 443\r\n", "malformed"},
		{"v1 without an end", "PROXY TCP4 " + strings.Repeat("1", 200), "malformed"},
		{"v2 TCP4", binaryHeader(0x21, 0x11, tcp4), client4},
		{"v2 TCP6", binaryHeader(0x21, 0x21, tcp6), client6},
		{"v2 with more", binaryHeader(0x21, 0x11, tcp4, tlvs), client4},
		{"v2 with as much as may be", binaryHeader(0x21, 0x11, tcp4, make([]byte, maxProxyHeader-len(tcp4))), client4},
		{"v2 with too much", binaryHeader(0x21, 0x11, tcp4, make([]byte, maxProxyHeader-len(tcp4)+1)), "malformed"},
		{"v2 LOCAL", binaryHeader(0x20, 0x00), "local"},
		{"v2 LOCAL with an address", binaryHeader(0x20, 0x11, tcp4), "local"},
		{"v2 LOCAL with anything", binaryHeader(0x20, 0x00, tlvs), "local"},
		{"v2 a socket of the file system", binaryHeader(0x21, 0x31, path), "local"},
		{"v2 UDP", binaryHeader(0x21, 0x12, tcp4), "malformed"},
		{"v2 no family", binaryHeader(0x21, 0x00, tcp4), "malformed"},
		{"v2 an unknown family", binaryHeader(0x21, 0x41, tcp4), "malformed"},
		{"v2 an unknown transport", binaryHeader(0x21, 0x13, tcp4), "malformed"},
		{"v2 an unknown command", binaryHeader(0x22, 0x11, tcp4), "malformed"},
		{"v2 of version 1", binaryHeader(0x11, 0x11, tcp4), "malformed"},
		{"v2 an address too short", binaryHeader(0x21, 0x21, tcp4), "malformed"},
		{"v2 no address", binaryHeader(0x21, 0x11), "malformed"},
		{"v2 no client", binaryHeader(0x21, 0x11, make([]byte, 12)), "malformed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// However it comes in pieces, and whatever follows it.
			for cut := range len(tc.header) {
				if n, span := spanOf([]byte(tc.header[:cut])); span == spanNone || span == spanWhole {
					t.Fatalf("%d bytes of it are %d, %v", cut, n, span)
				}
			}
			n, span := spanOf([]byte(tc.header + "GET / HTTP/1.1\r\n"))
			got := "malformed"
			if span == spanWhole {
				if n != len(tc.header) {
					t.Fatalf("it ends at %d, not at %d", n, len(tc.header))
				}
				switch client, err := parseProxy([]byte(tc.header)); {
				case err != nil:
				case client.IsValid():
					got = client.String()
				default:
					got = "local"
				}
			} else if span != spanMalformed {
				t.Fatalf("is %v", span)
			}
			if got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
	for _, other := range []string{"GET / HTTP/1.1\r\n", "PROXYTCP4", "PROPFIND", "\x16\x03\x01", "\r\n\r\n\x00\r\nquit\n"} {
		if _, span := spanOf([]byte(other)); span != spanNone {
			t.Errorf("%q is %v", other, span)
		}
	}
}

// Whatever comes: the end that is found stays the end when more is there, what is
// taken for a header is one of the two forms in their bounds, and a client has an
// address. A header of ours is understood as it was meant.
func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 203.0.113.7 192.0.2.1 12345 443\r\nGET /"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(binaryHeader(0x21, 0x11, tcp4, tlvs)))
	f.Add([]byte(binaryHeader(0x21, 0x21, tcp6)))
	f.Add([]byte(binaryHeader(0x20, 0x00)))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, span := spanOf(data)
		if span != spanWhole {
			if n != 0 {
				t.Fatalf("%d bytes of %v", n, span)
			}
			return
		}
		if n < 8 || n > len(data) || n > proxyFixed+maxProxyHeader || data[0] == 'P' && n > maxProxyLine {
			t.Fatalf("a header of %d bytes", n)
		}
		if again, span := spanOf(append(bytes.Clone(data), 'x')); again != n || span != spanWhole {
			t.Fatalf("%d, then %d %v", n, again, span)
		}
		if _, span := spanOf(data[:n-1]); span != spanMore {
			t.Fatalf("without its last byte it is %v", span)
		}
		client, err := parseProxy(data[:n])
		if err != nil || !client.IsValid() {
			return
		}
		if ip := client.Addr(); ip.IsUnspecified() || ip.IsMulticast() || ip.Is4In6() || ip.Zone() != "" {
			t.Fatalf("the client is %v", client)
		}
		for _, version := range []ProxyVersion{ProxyV1, ProxyV2} {
			ours, err := origin{client, netip.MustParseAddrPort("192.0.2.1:1")}.header(version)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := parseProxy(ours); err != nil || got != client {
				t.Fatalf("%s: %v became %v, %v", version, client, got, err)
			}
		}
	})
}

// forwards is a comet that says what it was told of the client.
func forwards(t *testing.T) *fakeComet {
	return newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "for="+r.Header.Get("X-Forwarded-For")+" proto="+r.Header.Get("X-Forwarded-Proto"))
	})
}

func (r *running) proxied(why Reason) float64 {
	return count(r.t, r.entries.proxied.WithLabelValues(string(why)))
}

const pageOverProxy = "GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

func TestProxyProtocol(t *testing.T) {
	a := forwards(t)
	const line = "PROXY TCP4 203.0.113.7 192.0.2.1 12345 443\r\n"
	for _, tc := range []struct {
		name    string
		mode    ProxyProtocol
		trusted string
		sent    []string // piece by piece
		want    string   // in the answer; empty: closed without one
		counted Reason
	}{
		{"required, v1", ProxyProtocolRequired, "127.0.0.0/8", []string{line + pageOverProxy}, "for=203.0.113.7 ", proxyOK},
		{"required, v2", ProxyProtocolRequired, "127.0.0.0/8", []string{binaryHeader(0x21, 0x21, tcp6, tlvs) + pageOverProxy}, "for=2001:db8::7 ", proxyOK},
		{"required, in pieces", ProxyProtocolRequired, "127.0.0.0/8", []string{"P", "ROXY TCP4 203.0.1", "13.7 192.0.2.1 12345 443\r", "\nGET /page HT", "TP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"}, "for=203.0.113.7 ", proxyOK},
		{"required, local", ProxyProtocolRequired, "127.0.0.0/8", []string{binaryHeader(0x20, 0) + pageOverProxy}, "for=127.0.0.1 ", proxyLocal},
		{"required, missing", ProxyProtocolRequired, "127.0.0.0/8", []string{pageOverProxy}, "", proxyMissing},
		{"required, malformed", ProxyProtocolRequired, "127.0.0.0/8", []string{strings.Replace(line, "203", "333", 1) + pageOverProxy}, "", proxyMalformed},
		{"required, from a stranger", ProxyProtocolRequired, "10.0.0.0/8", []string{line + pageOverProxy}, "", proxyUntrusted},
		{"optional, there", ProxyProtocolOptional, "127.0.0.0/8", []string{line + pageOverProxy}, "for=203.0.113.7 ", proxyOK},
		{"optional, not there", ProxyProtocolOptional, "127.0.0.0/8", []string{pageOverProxy}, "for=127.0.0.1 ", proxyNone},
		{"optional, not there, in pieces", ProxyProtocolOptional, "127.0.0.0/8", []string{"P", "OST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"}, "for=127.0.0.1 ", proxyNone},
		{"optional, malformed", ProxyProtocolOptional, "127.0.0.0/8", []string{binaryHeader(0x29, 0x11, tcp4) + pageOverProxy}, "", proxyMalformed},
		{"optional, from a stranger", ProxyProtocolOptional, "10.0.0.0/8", []string{line + pageOverProxy}, "HTTP/1.1 400 ", ""},
		{"optional, binary from a stranger", ProxyProtocolOptional, "10.0.0.0/8", []string{binaryHeader(0x21, 0x11, tcp4) + pageOverProxy}, "HTTP/1.1 400 ", ""},
		{"optional, a stranger without", ProxyProtocolOptional, "10.0.0.0/8", []string{pageOverProxy}, "for=127.0.0.1 ", ""},
		{"off", ProxyProtocolOff, "127.0.0.0/8", []string{line + pageOverProxy}, "HTTP/1.1 400 ", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := quick()
			cfg.ProxyProtocol, cfg.TrustedProxies = tc.mode, []string{tc.trusted}
			b := listing(t, cfg, a)
			before := a.requests()
			conn := b.connection()
			for _, piece := range tc.sent {
				io.WriteString(conn, piece)
				if len(tc.sent) > 1 {
					b.untilRead(conn)
				}
			}
			got, _ := io.ReadAll(conn) // what was not read turns the end into a reset
			if !strings.Contains(string(got), tc.want) || tc.want == "" && len(got) > 0 {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if n := a.requests() - before; (n == 1) != strings.HasPrefix(tc.want, "for=") {
				t.Errorf("%d requests reached the comet", n)
			}
			if tc.counted != "" && b.proxied(tc.counted) != 1 {
				t.Errorf("not counted as %s", tc.counted)
			}
		})
	}
}

// untilRead waits until what was sent has been acknowledged: it then comes as a piece
// of its own.
func (r *running) untilRead(conn *net.TCPConn) {
	r.t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		r.t.Fatal(err)
	}
	last, _ := bytesAcked(raw)
	r.until("a piece has come", func() bool {
		now, known := bytesAcked(raw)
		same := now == last
		last = now
		return !known || same
	})
}

// Who is introduced in time, and by whom, decides for the rest: limits, TLS, and the
// proxies further out, whose headers count only if the one that was introduced is
// trusted itself.
func TestProxyProtocolGoesFirst(t *testing.T) {
	a := forwards(t)
	cfg := quick()
	cfg.ProxyProtocol, cfg.TrustedProxies = ProxyProtocolRequired, []string{"127.0.0.0/8", "198.51.100.1"}
	cfg.Limits.ReadTimeout = 200 * time.Millisecond
	s := &secured{authority: tlstest.New(t)}
	cert, key := s.authority.Pair(t, t.TempDir(), time.Now().Add(time.Hour))
	cfg.TLS.CertFiles, cfg.TLS.KeyFiles = []string{cert}, []string{key}
	s.start(t, cfg, a)
	raw := s.connection()
	io.WriteString(raw, "PROXY TCP4 203.0.113.7 192.0.2.1 12345 443\r\n")
	if got := says(t, s.over(raw), pageOverProxy); !strings.Contains(got, "for=203.0.113.7 proto=https") {
		t.Errorf("over TLS: %q", got)
	}
	raw = s.connection()
	io.WriteString(raw, "PROXY TCP4 198.51.100.1 192.0.2.1 12345 443\r\n")
	request := strings.Replace(pageOverProxy, "Host", "X-Forwarded-For: 1.2.3.4\r\nHost", 1)
	if got := says(t, s.over(raw), request); !strings.Contains(got, "for=1.2.3.4, 198.51.100.1 ") {
		t.Errorf("behind another proxy: %q", got)
	}
	silent, half := s.connection(), s.connection()
	io.WriteString(half, "PROXY TCP4 203.")
	for _, conn := range []net.Conn{silent, half} {
		if got, _ := io.ReadAll(conn); len(got) > 0 {
			t.Errorf("got %q", got)
		}
	}
	s.connection().Close()
	s.until("they are counted", func() bool { return s.proxied(proxyTimeout) == 2 && s.proxied(proxyClosed) == 1 })
	s.until("nobody is kept", func() bool { return s.greeted.len() == 0 })
}

// The connections of a client are counted as its own, and not as its proxy's.
func TestConnectionsOfClientsBehindAProxy(t *testing.T) {
	cfg := quick()
	cfg.ProxyProtocol, cfg.TrustedProxies, cfg.MaxConnsPerIP = ProxyProtocolRequired, []string{"127.0.0.0/8"}, 2
	b := listing(t, cfg, forwards(t))
	open := func(client string) (conn net.Conn, answered bool) {
		c := b.connection()
		io.WriteString(c, "PROXY TCP4 "+client+" 192.0.2.1 12345 443\r\nGET /page HTTP/1.1\r\nHost: a\r\n\r\n")
		n, _ := c.Read(make([]byte, 1000))
		return c, n > 0
	}
	one, first := open("203.0.113.7")
	_, second := open("203.0.113.7")
	_, third := open("203.0.113.7")
	_, other := open("203.0.113.8")
	if !first || !second || third || !other {
		t.Errorf("let in: %v %v %v, and another's %v", first, second, third, other)
	}
	one.Close()
	b.until("there is room again", func() bool {
		conn, in := open("203.0.113.7")
		conn.Close()
		return in
	})
}

// Connections to comets begin with the client's address, and serve nobody else.
func TestProxyProtocolToComets(t *testing.T) {
	for _, version := range []ProxyVersion{ProxyV1, ProxyV2} {
		for _, secure := range []bool{false, true} {
			name := string(version)
			if secure {
				name += " over TLS"
			}
			t.Run(name, func(t *testing.T) { testProxyOut(t, version, secure) })
		}
	}
}

func testProxyOut(t *testing.T, version ProxyVersion, secure bool) {
	cfg := quick()
	cfg.CometProxyProtocol, cfg.TrustedProxies = version, []string{"127.0.0.0/8"}
	a := &fakeComet{t: t, name: "a", introduced: true}
	if secure {
		authority := tlstest.New(t)
		a.tls, cfg.CometTLS.CAFile = serverTLS(t, authority), authority.File
	}
	a.serve(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) })
	a.start("127.0.0.1:0")
	t.Cleanup(a.kill)
	b := listing(t, cfg, a)
	b.untilState(a, Healthy) // checks introduce themselves too
	ask := func(conn net.Conn, headers string) string {
		t.Helper()
		io.WriteString(conn, "GET /page HTTP/1.1\r\nHost: a\r\n"+headers+"\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	one, two := b.connection(), b.connection()
	for range 3 {
		for _, conn := range []*net.TCPConn{one, two} {
			if got := ask(conn, ""); got != conn.LocalAddr().String() {
				t.Errorf("the comet was told %q, not %v", got, conn.LocalAddr())
			}
		}
	}
	up := b.comet(a).up
	if n := up.conns(); n != 2 {
		t.Errorf("%d connections for two clients", n)
	}
	if got := ask(one, "X-Forwarded-For: 2001:db8::7\r\n"); got != "[2001:db8::7]:0" {
		t.Errorf("behind a proxy the comet was told %q", got)
	}
}

// When there is no room for all that are idle, the longest idle goes.
func TestIdleOfManyOrigins(t *testing.T) {
	p := newPool(t, func(l *Limits) { l.MaxIdle = 2 })
	at := netip.MustParseAddrPort("192.0.2.1:443")
	from := func(port uint16) origin {
		return origin{netip.AddrPortFrom(netip.MustParseAddr("203.0.113.7"), port), at}
	}
	for port := range uint16(3) {
		w, fail := p.get(from(port+1), false, time.Second)
		if fail != nil {
			t.Fatal(fail)
		}
		p.put(w)
	}
	for port, want := range map[uint16]bool{1: false, 2: true, 3: true} {
		w := p.takeIdle(from(port))
		if (w != nil) != want {
			t.Errorf("of client %d there is an idle connection: %v", port, w != nil)
		}
		if w != nil {
			w.close()
		}
	}
	if n := p.conns(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}
