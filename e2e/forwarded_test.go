package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/wire"
)

// Proxies in front tell the address of the client in X-Forwarded-For: WebSockets without
// a cookie of one such address meet at one comet, whichever proxy they come by. What is
// told by somebody who is no trusted proxy is not believed.
func TestForwardedAddressKeepsTheSocket(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	b := c.Balancer("balancer", "--trusted-proxies", "127.0.62.0/24")
	b.Covers(comets...)
	told := func(address string) http.Header {
		// The leftmost one may be invented, and is passed over.
		return http.Header{"X-Forwarded-For": {"198.51.100.9, " + address}}
	}
	at := func(local string, header http.Header) string {
		t.Helper()
		s, err := wire.Open(t, b.URL(), local, header)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return s.MustHandshake()[:8]
	}
	used := map[string]bool{}
	for i := range 12 {
		address := fmt.Sprintf("203.0.113.%d", i+1)
		first := at("127.0.62.1", told(address))
		used[first] = true
		for proxy := 2; proxy <= 4; proxy++ {
			if got := at(fmt.Sprintf("127.0.62.%d", proxy), told(address)); got != first {
				t.Errorf("%s came to comet %s by one proxy, to %s by another", address, first, got)
			}
		}
	}
	if len(used) < 2 {
		t.Errorf("12 addresses behind one proxy are all at one comet: the address told does not count")
	}
	// A client that is no proxy stays where its own address leads.
	own := at("127.0.63.1", nil)
	for i := range 12 {
		if got := at("127.0.63.1", told(fmt.Sprintf("203.0.113.%d", i+1))); got != own {
			t.Errorf("a stranger chose comet %s instead of %s by what it told", got, own)
		}
	}

	// The session itself is kept, too: CometD's client comes back on a new socket with its
	// old clientId in the first frame.
	for i := range 9 {
		address := fmt.Sprintf("203.0.113.%d", 100+i)
		s, err := wire.Open(t, b.URL(), "127.0.62.1", told(address))
		if err != nil {
			t.Fatal(err)
		}
		id := s.MustHandshake()
		s.Close()
		s, err = wire.Open(t, b.URL(), "127.0.62.2", told(address))
		if err != nil {
			t.Fatal(err)
		}
		s.MustAsk(comesBack(id), "c")
		s.Close()
	}
	if got := unknown(comets); got != 0 {
		t.Errorf("%v sockets at the wrong comet", got)
	}
}

// comesBack is the first frame of a socket that goes on with a session.
func comesBack(id string) string {
	return fmt.Sprintf(`[{"channel":"/meta/connect","id":"c","clientId":%q,"connectionType":"websocket","advice":{"timeout":0}}]`, id)
}

// The same by the PROXY protocol in both versions: the address in it is that of the
// client, for WebSockets and for requests.
func TestProxyProtocolAddressKeepsTheSocket(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	b := c.Balancer("balancer", "--trusted-proxies", "127.0.0.1", "--proxy-protocol", "optional")
	b.Covers(comets...)
	for version, header := range map[string]func(ip string) []byte{"v1": proxyV1, "v2": proxyV2} {
		t.Run(version, func(t *testing.T) {
			used := map[string]bool{}
			for i := range 12 {
				ip := fmt.Sprintf("203.0.113.%d", i+1)
				// Each connection comes by a proxy of its own, that tells the same address.
				proxy := newTeller(t, b.Listen, header(ip))
				s := wire.MustOpen(t, proxy, "")
				id := s.MustHandshake()
				s.Close()
				used[id[:8]] = true
				again := newTeller(t, b.Listen, header(ip))
				for range 2 {
					s = wire.MustOpen(t, again, "")
					s.MustAsk(comesBack(id), "c")
					s.Close()
				}
			}
			if len(used) < 2 {
				t.Error("12 addresses are all at one comet: the address told does not count")
			}
		})
	}
	if got := unknown(comets); got != 0 {
		t.Errorf("%v sockets at the wrong comet", got)
	}
	if n := b.Counter("halley_balancer_proxy_headers_total", `result="ok"`); n != 2*12*3 {
		t.Errorf("%v headers were read, want %d", n, 2*12*3)
	}
	// Who is no trusted proxy is not believed: it is no HTTP what he says.
	stranger, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.63.2")}}).Dial("tcp", b.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	stranger.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := stranger.Write(append(proxyV1("203.0.113.1"), "GET /cometd HTTP/1.1\r\nHost: x\r\n\r\n"...)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stranger).ReadString('\n')
	if err == nil && !strings.Contains(line, " 400 ") || err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("a stranger with a header is answered %q, %v", line, err)
	}
}

// Each key does it alone, and without any a session is lost soon.
func TestEachKeyAlone(t *testing.T) {
	c := cloud.New(t)
	comets := c.Comets(3)
	c.Linked(comets...)
	for _, tc := range []struct {
		name, keys, place, reason string
		// What of the client is the same in its next request.
		id, cookie, address bool
	}{
		{"clientId", "client-id", "auto", "client_id", true, false, false},
		{"cookie", "cookie", "auto", "cookie", true, true, false},
		{"address", "ip", "auto", "ip", true, false, true},
		{"address, with the cookie key", "cookie,ip", "ip", "ip", true, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := c.Balancer(strings.NewReplacer(" ", "-", ",", "").Replace("balancer-"+tc.name), "--keys", tc.keys, "--place", tc.place)
			for _, m := range comets {
				b.Takes(m.Name)
			}
			before, lost := handshakes(comets), unknown(comets)
			const sessions, requests = 9, 5
			for i := range sessions {
				local := fmt.Sprintf("127.0.64.%d", i+1)
				first := wire.NewFrom(t, b.URL(), local)
				a, err := first.Post(t.Context(), `[{"channel":"/meta/handshake","id":"1","version":"1.0","supportedConnectionTypes":["long-polling"]}]`)
				if err != nil || !a.Messages[0].Successful {
					t.Fatalf("handshake: %v", err)
				}
				for j := range requests {
					if !tc.address {
						local = fmt.Sprintf("127.0.65.%d", 10*i+j+1)
					}
					w := wire.NewFrom(t, b.URL(), local)
					w.ClientID = a.Messages[0].ClientID
					if tc.cookie {
						for _, k := range (&http.Response{Header: a.Header}).Cookies() {
							w.Cookie = k.Name + "=" + k.Value
						}
					}
					w.MustConnect()
					w.Close()
				}
			}
			if total, used := since(comets, before); total != sessions || used < 2 {
				t.Errorf("%v handshakes at %d comets, want %d at two or more", total, used, sessions)
			}
			if n := unknown(comets) - lost; n != 0 {
				t.Errorf("%v requests at the wrong comet", n)
			}
			if n := b.Counter("halley_balancer_requests_total", `reason="`+tc.reason+`"`); n < sessions*requests {
				t.Errorf("%v requests went by %s, want %d", n, tc.reason, sessions*requests)
			}
		})
	}
}

// newTeller is a proxy that begins each connection to a balancer with bytes of its own.
// It returns the Bayeux URL by way of it.
func newTeller(t *testing.T, target string, header []byte) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				in.Close()
				continue
			}
			go func() { defer out.Close(); io.Copy(out, io.MultiReader(bytes.NewReader(header), in)) }()
			go func() { defer in.Close(); io.Copy(in, out) }()
		}
	}()
	return "http://" + ln.Addr().String() + cloud.Path
}

func proxyV1(ip string) []byte {
	return fmt.Appendf(nil, "PROXY TCP4 %s 192.0.2.1 4711 80\r\n", ip)
}

func proxyV2(ip string) []byte {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x21, 0x11, 0, 12)
	b = append(append(b, net.ParseIP(ip).To4()...), 192, 0, 2, 1)
	return append(b, 0x12, 0x67, 0, 80)
}
