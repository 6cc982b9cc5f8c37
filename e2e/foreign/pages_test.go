package foreign

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"net/http/cookiejar"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/peer"
)

// visitor is a browser of sorts: a cookie jar, and an address of its own.
func visitor(t *testing.T, local string) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}, Timeout: 10 * time.Second}
	tr := &http.Transport{DialContext: d.DialContext}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: tr, Timeout: 30 * time.Second}
}

func request(t *testing.T, method, url string, body []byte) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// Everything beside the Bayeux path is the fleet's own, by the same stickiness.
func TestOtherPagesAreServed(t *testing.T) {
	servers, b := fleet(t, peer.NodeServer, 3)
	base := "http://" + b.Listen
	seen := map[string]bool{}
	for i := range 12 {
		v := visitor(t, fmt.Sprintf("127.0.33.%d", i+1))
		first := ""
		for range 3 {
			res := page(t, v, request(t, "GET", base+"/hello?x=1", nil))
			text, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != 200 {
				t.Fatalf("status %d, %v", res.StatusCode, err)
			}
			if first == "" {
				first = string(text)
			}
			if string(text) != first {
				t.Errorf("%q, then %q", first, text)
			}
		}
		seen[first] = true
	}
	if len(seen) < 2 {
		t.Errorf("all visitors are at one server: %v", seen)
	}
	if res := page(t, visitor(t, "127.0.33.20"), request(t, "GET", base+"/nowhere", nil)); res.StatusCode != http.StatusNotFound {
		t.Errorf("a page that nobody has: status %d", res.StatusCode)
	}
	servers[0].Kill()
	for i := range 6 {
		res := page(t, visitor(t, fmt.Sprintf("127.0.33.%d", i+1)), request(t, "GET", base+"/hello", nil))
		if res.StatusCode != 200 {
			t.Errorf("after a kill: status %d", res.StatusCode)
		}
	}
}

// Bodies of any size go through, both ways, whatever the method.
func TestBodiesAreStreamed(t *testing.T) {
	_, b := fleet(t, peer.NodeServer, 2)
	big := make([]byte, 8<<20)
	rand.New(rand.NewSource(1)).Read(big)
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		for name, body := range map[string][]byte{"small": []byte("small"), "big": big} {
			res := page(t, visitor(t, "127.0.34.1"), request(t, method, "http://"+b.Listen+"/echo", body))
			got, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != 200 || res.Header.Get("X-Method") != method || !bytes.Equal(got, body) {
				t.Errorf("%s, %s: status %d, %d bytes of %d, %v", method, name, res.StatusCode, len(got), len(body), err)
			}
		}
	}
}
