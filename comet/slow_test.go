package comet

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/testenv"
)

// A client that stops reading delays nobody, is cut when its queue is full, and
// learns so when it comes back.
func TestFrozenReaderBound(t *testing.T) {
	f := startTCP(t, func(c *Config) {
		c.MaxQueueBytes = 1 << 20
		c.MaxQueue = 1 << 20
		c.WriteTimeout = time.Hour
		c.WebSocketPermessageDeflate = false
	})
	frozen := f.ws().shake("/b")
	c := f.ws().shake("/b")
	publisher := f.connected()
	data := `"` + strings.Repeat("z", 32<<10) + `"`
	for i := 0; f.drops(DropQueueBytes) == 0; i++ {
		if i == 2000 {
			t.Fatal("never cut")
		}
		began := time.Now()
		publish(f, publisher, "/b", data)
		mustBe(t, c.hear(), `[{"channel":"/b","data":`+data+`}]`)
		if d := time.Since(began); d > testenv.Bound(500*time.Millisecond) {
			t.Errorf("message %d took %v", i, d)
		}
	}
	if f.drops(DropQueueBytes) < 1<<20/(33<<10) {
		t.Errorf("only %v messages counted", f.drops(DropQueueBytes))
	}
	mustHold(t, f.post(frozen.id, connectBody), "402::session_unknown")
	eventually(t, "its socket gone", func() bool { return len(f.sockets()) == 1 })
}

// A socket that takes nothing for the write timeout is closed; its session goes
// on elsewhere with what it had not got.
func TestWriteTimeout(t *testing.T) {
	f := startTCP(t, func(c *Config) {
		c.WriteTimeout = 100 * time.Millisecond
		c.MaxQueueBytes = 64 << 20
		c.WebSocketPermessageDeflate = false
		c.MaxQueue = 1 << 20
	})
	frozen := f.ws().shake("/b")
	publisher := f.connected()
	data := `"` + strings.Repeat("z", 32<<10) + `"`
	n := 0
	for ; len(f.sockets()) > 0; n++ {
		if n == 2000 {
			t.Fatal("never closed")
		}
		publish(f, publisher, "/b", data)
	}
	heard := 0
	for {
		if _, _, err := frozen.ReadMessage(); err != nil {
			break
		}
		heard++
	}
	body := f.post(frozen.id, `[{"channel":"/meta/connect","clientId":"%","advice":{"timeout":0}}]`)
	if rest := strings.Count(body, data); heard+rest != n || rest == 0 {
		t.Errorf("%d published, %d heard on the socket, %d afterwards", n, heard, rest)
	}
}

// A client that polls and never comes back is cut by count.
func TestQueueLimit(t *testing.T) {
	f := start(t, func(c *Config) { c.MaxQueue = 3 })
	id, publisher := f.connected("/b"), f.connected()
	for i := range 3 {
		publish(f, publisher, "/b", i)
	}
	if f.drops(DropQueueMessages) != 0 || f.Sessions() != 2 {
		t.Fatal("cut too early")
	}
	publish(f, publisher, "/b", 3)
	if n := f.drops(DropQueueMessages); n != 4 || f.Sessions() != 1 {
		t.Errorf("%v drops, %d sessions", n, f.Sessions())
	}
	mustHold(t, f.post(id, connectBody), "402::session_unknown", `"reconnect":"handshake"`)
}

// A client that asks without listening is slowed down, not served without limit.
func TestAskingWithoutListening(t *testing.T) {
	server, client := net.Pipe()
	defer client.Close()
	k := newSocket(testServer(t, time.Hour), server, false, false)
	frame := make([]byte, replyLimit)
	k.send(frame)
	k.send(frame)
	k.send(frame)
	free := make(chan struct{})
	go func() { k.throttle(); close(free) }()
	buf := make([]byte, replyLimit)
	for range 2 {
		select {
		case <-free:
			t.Fatal("not throttled")
		default:
		}
		for n := 0; n < replyLimit; {
			m, err := client.Read(buf[n:])
			if err != nil {
				t.Fatal(err)
			}
			n += m
		}
	}
	receive(t, "the end of the throttling", free)
	k.abort()
}

// Two publishes of one publisher arrive in their order at every subscriber, over
// every transport.
func TestOrder(t *testing.T) {
	f := startTCP(t, nil)
	const messages = 1000
	type subscriber struct {
		name string
		next func() string // the next messages
	}
	socket, poller := f.ws().shake("/b/*"), f.connected("/b/c")
	subscribers := []subscriber{
		{"websocket", socket.hear},
		{"long-polling", func() string { return f.post(poller, connectBody) }},
	}
	publisher := f.ws().shake()
	go func() {
		for i := range messages {
			publisher.WriteMessage(1, []byte(fmt.Sprintf(`[{"channel":"/b/c","clientId":%q,"data":%d}]`, publisher.id, i)))
		}
	}()
	go func() {
		for {
			if _, _, err := publisher.ReadMessage(); err != nil {
				return
			}
		}
	}()
	for _, s := range subscribers {
		for next := 0; next < messages; {
			for part := range strings.SplitSeq(s.next(), `"data":`) {
				var n int
				if _, err := fmt.Sscanf(part, "%d", &n); err != nil {
					continue
				}
				if n != next {
					t.Fatalf("%s: %d came where %d was due", s.name, n, next)
				}
				next++
			}
		}
	}
}
