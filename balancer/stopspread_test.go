package balancer

import (
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/halleycomet/halley/internal/tunnel"
	"github.com/halleycomet/halley/internal/wsframe"
)

func TestStopWindow(t *testing.T) {
	for _, c := range []struct {
		n          int
		time, want time.Duration
	}{
		{0, 5 * time.Second, 0},
		{10, 5 * time.Second, 100 * time.Millisecond},
		{9000, 5 * time.Second, 4 * time.Second},
		{9000, time.Second, 500 * time.Millisecond},
	} {
		if got := stopWindow(c.n, c.time); got != c.want {
			t.Errorf("%d tunnels in %v: %v, want %v", c.n, c.time, got, c.want)
		}
	}
}

// When the balancer stops, the WebSockets of its clients end one after the other, each
// with 1001.
func TestStopSpreadsTheEnds(t *testing.T) { eachWay(t, testStopSpreadsTheEnds) }

func testStopSpreadsTheEnds(t *testing.T, way carriage) {
	const n = 100
	cfg := quick()
	cfg.StopTime = time.Second
	b := way.listing(t, cfg, newFakeComet(t, "a", echoSocket))
	ends := make(chan error, n)
	var wg sync.WaitGroup
	for range n {
		conn := b.dial("/cometd")
		wg.Go(func() {
			_, _, err := conn.ReadMessage()
			conn.Close()
			ends <- err
		})
	}
	began := time.Now()
	stopped := make(chan struct{})
	go func() { b.stop(); close(stopped) }()
	var half time.Duration
	for i := range n {
		if err := <-ends; !websocket.IsCloseError(err, int(wsframe.GoingAway)) {
			t.Errorf("number %d ends with %v", i, err)
		}
		if i == n/2 {
			half = time.Since(began)
		}
	}
	window := stopWindow(n, cfg.StopTime)
	if took := time.Since(began); half < window/4 || took < window/2 {
		t.Errorf("half of them had ended after %v, the last after %v", half, took)
	}
	wg.Wait()
	<-stopped
	if got := count(t, b.metrics.closed.WithLabelValues(tunnel.Stopping.String())); got != n {
		t.Errorf("%v are counted", got)
	}
}
