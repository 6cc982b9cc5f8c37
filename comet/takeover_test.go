package comet

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/halleycomet/halley/internal/testenv"
)

// A client hops from socket to socket, each of which it has let fill up, so that the
// old one is left in the middle of a frame. What came whole over all of them, one
// after the other, is every message once and in order.
func TestTakeoverOfFullSockets(t *testing.T) {
	const hops = 6
	f := startTCP(t, func(c *Config) {
		c.MaxQueueBytes, c.MaxQueue = 256<<20, 1<<20
		c.WebSocketPermessageDeflate = false
	})
	c := f.ws().shake("/b")
	id, published := c.id, 0
	room := f.connected()
	filler := strings.Repeat("x", 30<<10)
	next := 0
	read := func(c *wsClient) bool {
		c.SetReadDeadline(time.Now().Add(patience))
		_, body, err := c.ReadMessage()
		if err != nil {
			return false
		}
		var n int
		if _, err := fmt.Sscanf(string(body), `[{"channel":"/b","data":"%d `, &n); err != nil {
			return true // a reply
		}
		if n != next {
			t.Fatalf("message %d came where %d was due", n, next)
		}
		next++
		return true
	}
	for hop := range hops {
		full := false
		for !full { // until the socket has stalled
			publish(f, room, "/b", fmt.Sprintf(`"%d %s"`, published, filler))
			published++
			for k := range f.sockets() {
				full = full || k.isStalled()
			}
		}
		if hop%2 == 0 {
			read(c)
		}
		old := c
		c = f.ws()
		c.id = id
		c.say(`[{"channel":"/meta/connect","clientId":"%","id":"6","advice":{"timeout":0}}]`)
		eventually(t, "the old socket gone", func() bool { return len(f.sockets()) == 1 })
		for read(old) {
		}
		old.Close()
	}
	for next < published {
		if !read(c) {
			t.Fatalf("%d of %d came", next, published)
		}
	}
	publish(f, room, "/b", `"last"`)
	for {
		if got := c.hear(); strings.Contains(got, "last") {
			break
		} else if strings.Contains(got, "data") {
			t.Fatalf("%.60s… came twice", got)
		}
	}
}

func (k *socket) isStalled() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.stalled != nil
}

// Sockets come, fill up, move their sessions and go in every way, while messages
// rush in. In the end nothing of them is left, and the comet serves on.
func TestSocketsComeAndGo(t *testing.T) { bothWays(t, testSocketsComeAndGo) }

func testSocketsComeAndGo(t *testing.T, start func(*testing.T, func(*Config)) *fixture) {
	f := start(t, func(c *Config) {
		c.WriteTimeout = 300 * time.Millisecond
		c.MaxQueue = 200
	})
	stop := make(chan struct{})
	var publishers, clients sync.WaitGroup
	for i := range 2 {
		data := `"` + strings.Repeat("x", 100+i*20000) + `"`
		id := f.connected()
		publishers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					f.try("POST", "/cometd", fmt.Sprintf(`[{"channel":"/b","clientId":%q,"data":%s}]`, id, data))
				}
			}
		})
	}
	each := testenv.Clients(24)
	for range 8 {
		clients.Go(func() {
			var id string
			for n := range each {
				c := f.ws()
				if id == "" || n%3 != 0 {
					c.say(`[{"channel":"/meta/handshake"}]`)
					id = clientID(t, c.hear())
				}
				c.id = id
				c.say(`[{"channel":"/meta/subscribe","clientId":"%","subscription":"/b"},{"channel":"/meta/connect","clientId":"%"}]`)
				c.SetReadDeadline(time.Now().Add(time.Second)) // the session may have been cut
				for range rand.IntN(20) {
					if _, _, err := c.ReadMessage(); err != nil {
						break
					}
				}
				c.leaveSomehow(n)
			}
		})
	}
	clients.Wait()
	close(stop)
	publishers.Wait()
	eventually(t, "no socket left", func() bool { return len(f.sockets()) == 0 })
	f.flush.wait()
	last := f.ws().shake("/b")
	publish(f, f.connected(), "/b", 1)
	mustBe(t, last.hear(), `[{"channel":"/b","data":1}]`)
}

// leaveSomehow ends a connection in one of the ways in which connections end.
func (c *wsClient) leaveSomehow(n int) {
	defer c.Close()
	raw := c.NetConn().(*net.TCPConn)
	switch n % 7 {
	case 0:
		c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), noDeadline)
		for {
			if _, _, err := c.ReadMessage(); err != nil {
				return
			}
		}
	case 1:
		c.WriteControl(websocket.CloseMessage, nil, noDeadline)
	case 2:
		raw.SetLinger(0)
	case 3:
		raw.CloseWrite()
		for {
			if _, _, err := c.ReadMessage(); err != nil {
				return
			}
		}
	case 4:
		raw.Write([]byte{0x81, 0xfe, 1}) // a part of a frame
	case 5:
		raw.Write([]byte("GET / HTTP/1.1\r\n\r\n")) // no frame
	}
}
