package balancer

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/internal/testenv"
	"github.com/halleycomet/halley/internal/tlstest"
)

// A publish that was read before the connection broke is not sent again.
func TestPublishIsNeverDoubled(t *testing.T) {
	var read atomic.Int32
	breaks := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), "/chat") {
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			ok(w, r)
			return
		}
		read.Add(1)
		conn, _ := hijack(w)
		reset(conn)
	}
	a := newFakeComet(t, "a", breaks)
	b := run(t, quick(), gossipOf(a))
	tries := 50
	for i := range tries {
		id := a.clientID()
		b.post(connect("0", id)) // leaves an idle connection
		batch := fmt.Sprintf(`[{"id":"s","channel":"/meta/subscribe","clientId":%q,"subscription":["/a","/b"]},
			{"id":"p","channel":"/chat","clientId":%q,"data":{"x":1}},{"id":"q","channel":"/service/x","clientId":%q,"data":1}]`, id, id, id)
		got := b.post(batch)
		if got.status != 200 || len(got.replies) != 3 {
			t.Fatalf("try %d: %d %s", i, got.status, got.body)
		}
		for j, want := range []string{"s", "p", "q"} {
			if r := got.replies[j]; r.ID != want || !r.failed() || r.Error != "502::comet_lost" || r.Data != nil {
				t.Fatalf("try %d: %s", i, got.body)
			}
		}
		if !strings.Contains(got.body, `"subscription":["/a","/b"]`) {
			t.Fatalf("the subscription is not echoed: %s", got.body)
		}
	}
	if n := read.Load(); int(n) != tries {
		t.Errorf("%d publishes were read %d times", tries, n)
	}
}

// A comet closes idle connections whenever it likes: no client ever notices, not
// even with a publish.
func TestStaleConnectionsNeverSurface(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testStale(t, false) })
	t.Run("over TLS", func(t *testing.T) { testStale(t, true) })
}

func testStale(t *testing.T, secure bool) {
	closer := newClosingComet(t, secure)
	cfg := quick()
	cfg.CheckInterval = time.Hour
	cfg.Comets, cfg.CometTLS.CAFile = []string{closer.url}, closer.authority
	b := run(t, cfg, nil)
	tries := 1000
	if testenv.Race {
		tries = 200
	}
	for i := range tries {
		if r := b.post(publish(fmt.Sprint(i), "foreign")).one(t); r.failed() {
			t.Fatalf("publish %d: %+v", i, r)
		}
		<-closer.closed // while the balancer holds its end for idle
	}
	if got := closer.acted(); len(got) != tries {
		t.Errorf("%d publishes, acted on %d", tries, len(got))
	}
}

// The close may also cross the request on the way. Then it may be that one cannot
// know whether the request was read: such a publish fails, and is not sent twice.
func TestCrossingCloseNeverDoubles(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testCrossing(t, false) })
	t.Run("over TLS", func(t *testing.T) { testCrossing(t, true) })
}

func testCrossing(t *testing.T, secure bool) {
	closer := newClosingComet(t, secure)
	cfg := quick()
	cfg.CheckInterval = time.Hour
	cfg.Comets, cfg.CometTLS.CAFile = []string{closer.url}, closer.authority
	b := run(t, cfg, nil)
	tries, lost := testenv.Clients(2000), 0
	for i := range tries {
		r := b.post(publish(fmt.Sprint(i), "foreign")).one(t)
		if r.failed() {
			lost++
			if r.Error != "502::comet_lost" {
				t.Fatalf("publish %d: %+v", i, r)
			}
		}
	}
	acted := closer.acted()
	for id, n := range acted {
		if n != 1 {
			t.Errorf("publish %s was acted on %d times", id, n)
		}
	}
	if len(acted) < tries-lost {
		t.Errorf("%d publishes, %d lost, acted on %d", tries, lost, len(acted))
	}
	if most := tries / 10; lost > most && !secure && !testenv.Race {
		t.Errorf("%d of %d publishes failed, at most %d were to", lost, tries, most)
	}
}

// closingComet answers one request on each connection, says nothing of closing, and
// closes.
type closingComet struct {
	url, authority string
	tls            *tls.Config   // nil: plain
	closed         chan struct{} // one for each connection closed, as far as somebody looks
	mu             sync.Mutex
	ids            map[string]int
}

func (c *closingComet) acted() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ids
}

func newClosingComet(t *testing.T, secure bool) *closingComet {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &closingComet{url: "http://" + ln.Addr().String(), closed: make(chan struct{}, 1), ids: map[string]int{}}
	if secure {
		authority := tlstest.New(t)
		c.url, c.authority, c.tls = "https://"+ln.Addr().String(), authority.File, serverTLS(t, authority)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { c.answer(conn) })
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return c
}

func (c *closingComet) answer(conn net.Conn) {
	if c.tls != nil {
		conn = tls.Server(conn, c.tls)
	}
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		conn.Close()
		return
	}
	body, _ := io.ReadAll(req.Body)
	messages, _ := bayeux.Parse(body)
	isPublish := len(messages) > 0 && messages[0].Channel == "/chat"
	if isPublish {
		c.mu.Lock()
		c.ids[messages[0].ID]++
		c.mu.Unlock()
	}
	reply := `[{"id":"1","channel":"/chat","successful":true}]`
	fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(reply), reply)
	conn.Close()
	if isPublish {
		select {
		case c.closed <- struct{}{}:
		default:
		}
	}
}
