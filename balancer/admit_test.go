package balancer

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/halleycomet/halley/bayeux"
)

const handshakeMessage = `[{"id":"1","channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]`

// told is what a client is told in an answer: whether it succeeded, and after how long
// to come back.
func told(t *testing.T, body string) (bool, time.Duration, string) {
	t.Helper()
	var replies []struct {
		Successful bool   `json:"successful"`
		Error      string `json:"error"`
		ID         string `json:"id"`
		Channel    string `json:"channel"`
		Advice     struct {
			Reconnect string `json:"reconnect"`
			Interval  int    `json:"interval"`
			Timeout   int    `json:"timeout"`
		} `json:"advice"`
	}
	if err := json.Unmarshal([]byte(body), &replies); err != nil || len(replies) == 0 {
		t.Fatalf("%q: %v", body, err)
	}
	r := replies[0]
	if !r.Successful && (r.Advice.Reconnect != "retry" || r.Advice.Timeout == 0 || r.ID == "" || r.Error != string(bayeux.ErrorTooMany)) {
		t.Errorf("the answer is %s", body)
	}
	return r.Successful, time.Duration(r.Advice.Interval) * time.Millisecond, r.Error
}

// Clients that all come at once reach the comet at the configured pace, over HTTP and
// over WebSocket alike: some wait, others come back when they were told to.
func TestHandshakesReachTheCometAtThePace(t *testing.T) {
	var mu sync.Mutex
	var came []time.Time
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		came = append(came, time.Now())
		mu.Unlock()
		ok(w, r)
	})
	cfg := quick()
	cfg.HandshakeRate, cfg.HandshakeBurst, cfg.HandshakeWait = 100, 0, 300*time.Millisecond
	b := listing(t, cfg, a)
	const clients = 150
	began := time.Now()
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for {
				r, err := b.do("POST", "/cometd", handshakeMessage)
				if err != nil || r.status != 200 {
					t.Errorf("%v, %+v", err, r)
					return
				}
				in, interval, _ := told(t, r.body)
				if in {
					return
				}
				<-time.After(interval)
			}
		})
	}
	wg.Wait()
	if took := time.Since(began); took < (clients-10)*time.Second/100 {
		t.Errorf("%d handshakes in %v at 100 a second", clients, took)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(came) != clients {
		t.Errorf("%d handshakes of %d clients", len(came), clients)
	}
	for i := range came {
		n := 0
		for _, at := range came[i:] {
			if at.Sub(came[i]) < 500*time.Millisecond {
				n++
			}
		}
		if n > 50+25 { // goroutines that were late
			t.Fatalf("%d in half a second", n)
		}
	}
}

// Whoever would wait for too long is told when to come back: each message of the batch,
// in JSON and JSONP, and an upgrade is accepted, answered and closed with 1013. Nothing
// of it reaches the comet.
func TestSentAwayForThePace(t *testing.T) {
	a := newFakeComet(t, "a", ok)
	cfg := quick()
	cfg.HandshakeRate, cfg.HandshakeBurst, cfg.HandshakeWait = 1, 0, 0
	b := listing(t, cfg, a)
	if r := b.post(handshakeMessage); !strings.Contains(r.body, `"successful":true`) {
		t.Fatalf("the first: %+v", r)
	}
	before := a.requests()
	r := b.post(`[{"id":"1","channel":"/meta/handshake","version":"1.0"},{"id":"2","channel":"/x","data":1}]`)
	if n := strings.Count(r.body, string(bayeux.ErrorTooMany)); r.status != 200 || n != 2 || !strings.Contains(r.body, `"id":"2"`) {
		t.Errorf("a batch: %+v", r)
	}
	if in, interval, _ := told(t, r.body); in || interval <= 0 || interval > 2*time.Second {
		t.Errorf("in: %v, interval %v", in, interval)
	}
	r = b.get("/cometd?jsonp=cb&message=" + url.QueryEscape(handshakeMessage))
	if r.status != 200 || !strings.HasPrefix(strings.TrimPrefix(r.body, "/**/"), "cb(") || !strings.Contains(r.body, string(bayeux.ErrorTooMany)) {
		t.Errorf("JSONP: %+v", r)
	}
	conn := b.dial("/cometd")
	defer conn.Close()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(handshakeMessage)); err != nil {
		t.Fatal(err)
	}
	_, frame, err := conn.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	if in, interval, _ := told(t, string(frame)); in || interval <= 0 {
		t.Errorf("WebSocket: %s", frame)
	}
	if _, _, err := conn.ReadMessage(); !websocket.IsCloseError(err, 1013) {
		t.Errorf("WebSocket: closed with %v", err)
	}
	if n := a.requests(); n != before {
		t.Errorf("%d requests reached the comet", n-before)
	}
	// What begins no session is let through, however fast.
	for range 20 {
		if r := b.post(`[{"id":"1","channel":"/x","data":1}]`); !strings.Contains(r.body, `"successful":true`) {
			t.Fatalf("a publish: %+v", r)
		}
	}
	if n := b.scrape("answered_total", "reason=handshake_rate"); n != 3 {
		t.Errorf("%v are counted", n)
	}
}

// One address that sends too much is told so in Bayeux, elsewhere with 429 and
// Retry-After; behind a trusted proxy the forwarded address counts.
func TestTooManyRequestsOfAnAddress(t *testing.T) {
	a := newFakeComet(t, "a", ok)
	cfg := quick()
	cfg.RequestsPerIP, cfg.TrustedProxies = 5, []string{"127.0.0.1"}
	b := listing(t, cfg, a)
	from := func(ip string) string { return "X-Forwarded-For: " + ip }
	const publish = `[{"id":"1","channel":"/x","data":1}]`
	in := 0
	var last *answer
	for range 30 {
		if last = b.post(publish, from("10.0.0.1")); strings.Contains(last.body, `"successful":true`) {
			in++
		}
	}
	if in < 10 || in > 20 {
		t.Errorf("%d of 30 at once", in)
	}
	if _, interval, _ := told(t, last.body); last.status != 200 || interval <= 0 {
		t.Errorf("the last: %+v", last)
	}
	// Each is told a time of its own, and what was let through counts once.
	_, first, _ := told(t, b.post(publish, from("10.0.0.1")).body)
	_, second, _ := told(t, b.post(publish, from("10.0.0.1")).body)
	if step := second - first; step < 100*time.Millisecond || step > 250*time.Millisecond {
		t.Errorf("told %v, then %v, at 5 requests a second", first, second)
	}
	r := b.get("/page", from("10.0.0.1"))
	if r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" {
		t.Errorf("a page: %+v", r)
	}
	if r := b.post(publish, from("10.0.0.2")); !strings.Contains(r.body, `"successful":true`) {
		t.Errorf("another address: %+v", r)
	}
}
