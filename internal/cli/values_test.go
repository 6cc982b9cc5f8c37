package cli

import (
	"bytes"
	"encoding/base64"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "20000": 20 * time.Second, "20s": 20 * time.Second, "1m30s": 90 * time.Second, "-1": -time.Millisecond, "1.5s": 1500 * time.Millisecond,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "1.5", "s", "10 s", "9223372036854775807"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "65536": 65536, "64KiB": 65536, "1 MiB": 1 << 20, "2GiB": 2 << 30, "12B": 12, "-1": -1} {
		if got, err := parseBytes(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "KiB", "64k", "64KB", "1.5MiB", "9999999999999GiB"} {
		if got, err := parseBytes(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
	for n, want := range map[int]string{0: "0", 100: "100", 65536: "64KiB", 1 << 20: "1MiB", 1025: "1025", 3 << 30: "3GiB"} {
		if got := formatBytes(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestParseKeys(t *testing.T) {
	raw := [][]byte{bytes.Repeat([]byte{0xfb}, 16), bytes.Repeat([]byte{0xff}, 24), bytes.Repeat([]byte{3}, 32)}
	encodings := map[string]*base64.Encoding{
		"padded": base64.StdEncoding, "raw": base64.RawStdEncoding, "URL": base64.URLEncoding, "raw URL": base64.RawURLEncoding,
	}
	for name, enc := range encodings {
		text := enc.EncodeToString(raw[0]) + " , " + enc.EncodeToString(raw[1]) + "," + enc.EncodeToString(raw[2])
		keys, err := ParseKeys(text)
		if err != nil || len(keys) != 3 {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
			continue
		}
		for i := range raw {
			if !bytes.Equal(keys[i], raw[i]) {
				t.Errorf("%s: key %d differs", name, i+1)
			}
		}
	}
	bad := []string{"nobase64!", base64.StdEncoding.EncodeToString(raw[0][:15]), base64.StdEncoding.EncodeToString(raw[0])}
	keys, err := ParseKeys(strings.Join(bad, ","))
	if err == nil || keys != nil {
		t.Fatalf("bad keys: %v", err)
	}
	if got := err.Error(); got != "key 1 is not base64\nkey 2 has 15 bytes, not 16, 24 or 32" {
		t.Errorf("says %q", got)
	}
	for _, text := range []string{"", " , "} {
		if _, err := ParseKeys(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

func TestNodeAddr(t *testing.T) {
	const one, two = "127.0.0.1 10.1.2.3 8.8.8.8 fe80::1 fd00::1", "10.1.2.3 192.168.0.9"
	for _, c := range []struct {
		name, addr, has string
		dialled         bool
		want, says      string
	}{
		{"complete", "127.0.0.1:8080", "", false, "127.0.0.1:8080", ""},
		{"a name", "comet:7946", "", true, "comet:7946", ""},
		{"completed", ":8080", one, false, "10.1.2.3:8080", ""},
		{"port 0", ":0", one, false, "10.1.2.3:0", ""},
		{"IPv4 mapped", ":1", "::ffff:10.1.2.3", false, "10.1.2.3:1", ""},
		{"IPv6 only", ":8080", "::1 fd00::1 2001:db8::1", false, "[fd00::1]:8080", ""},
		{"none", ":8080", "127.0.0.1 8.8.8.8", false, "", "it has none"},
		{"several", ":8080", two, false, "", "it has several (10.1.2.3, 192.168.0.9)"},
		{"every interface, to listen", "0.0.0.0:8080", two, false, "0.0.0.0:8080", ""},
		{"every interface, to be told", "0.0.0.0:8080", one, true, "10.1.2.3:8080", ""},
		{"every interface, IPv6, to be told", "[::]:8080", one, true, "10.1.2.3:8080", ""},
		{"every interface, several", "0.0.0.0:8080", two, true, "", "several"},
		{"no port", "10.1.2.3", one, false, "", "is not HOST:PORT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			interfaces := func() (addrs []netip.Addr, err error) {
				for _, a := range strings.Fields(c.has) {
					addrs = append(addrs, netip.MustParseAddr(a))
				}
				return addrs, nil
			}
			got, err := nodeAddr(c.addr, c.dialled, interfaces)
			if got != c.want || (err == nil) != (c.says == "") {
				t.Fatalf("%q, %v; want %q", got, err, c.want)
			}
			if err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("says %q, want %q", err, c.says)
			}
		})
	}
	// On the machine itself: whatever it has, a complete address stays.
	if got, err := NodeAddr("0.0.0.0:1"); got != "0.0.0.0:1" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if addrs, err := interfaceAddrs(); err != nil || len(addrs) == 0 {
		t.Errorf("this machine's addresses: %v, %v", addrs, err)
	}
}

func TestIsLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:8080": true, "127.9.9.9:1": true, "[::1]:8080": true, "localhost:8080": true, "LocalHost": true, "127.0.0.1": true,
		"[::ffff:127.0.0.1]:1": true, "http://127.0.0.1:8080/cometd": true, "ws://[::1]/": true, "http://localhost/cometd": true,
		":8080": false, "0.0.0.0:8080": false, "10.0.0.1:8080": false, "a.example:80": false, "": false, "localhost.example:1": false,
		"http://10.0.0.1/127.0.0.1": false, "http://127.0.0.1.example/": false, "http://%zz": false,
	} {
		if got := IsLoopback(addr); got != want {
			t.Errorf("%q: %v, want %v", addr, got, want)
		}
	}
}

func TestParseFloat(t *testing.T) {
	for text, want := range map[string]float64{"0": 0, "20": 20, "0.5": 0.5, "-1": -1, "1e3": 1000} {
		if got, err := parseFloat(text); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "NaN", "Inf", "1e999", "1s"} {
		if got, err := parseFloat(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}
