package balancer

import (
	"bufio"
	"bytes"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/halleycomet/halley/internal/wsframe"
)

// dying is the connection of a comet that is killed after a number of bytes.
type dying struct {
	net.Conn
	kill func()

	mu    sync.Mutex
	left  int // bytes until it dies; -1 lives on
	wrote bytes.Buffer
}

func (d *dying) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := p
	if d.left >= 0 && len(p) >= d.left {
		out = p[:d.left]
	}
	n, err := d.Conn.Write(out)
	d.wrote.Write(out[:n])
	if d.left >= 0 {
		if d.left -= n; d.left == 0 {
			d.kill()
			return n, net.ErrClosed
		}
	}
	return n, err
}

// dieAfter has it die after n more bytes.
func (d *dying) dieAfter(n int) {
	d.mu.Lock()
	d.left = n
	d.mu.Unlock()
}

// hijackOf gives a handler a connection of the test's.
type hijackOf struct {
	http.ResponseWriter
	wrap func(net.Conn) net.Conn
}

func (h hijackOf) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := h.ResponseWriter.(http.Hijacker).Hijack()
	return h.wrap(conn), rw, err
}

// heard is the connection of a client that notes what it reads.
type heard struct {
	net.Conn
	mu  sync.Mutex
	all bytes.Buffer
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.mu.Lock()
	h.all.Write(p[:n])
	h.mu.Unlock()
	return n, err
}

// noise is text that deflate cannot make much shorter.
func noise(n int) []byte {
	rng := rand.New(rand.NewPCG(7, 7))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(' ' + rng.IntN(95))
	}
	return p
}

// A real client and a real comet negotiate compression through the balancer, and the
// comet is killed at some place of a message of 60 KB. The client gets what the comet
// wrote, byte for byte, and after that a close frame if one may stand there, else the
// end of the stream.
func TestCometKilledAtAnyPlace(t *testing.T) { eachWay(t, testCometKilledAtAnyPlace) }

func testCometKilledAtAnyPlace(t *testing.T, way carriage) {
	message := noise(60_000)
	long := noise(200_000) // deflate keeps the beginning to itself
	for _, tc := range []struct {
		name string
		// says is what the comet says before it is killed, which is when it has said
		// all, or so many bytes after dies was called.
		says func(c *websocket.Conn, dies func(after int))
		bye  bool // the client gets 1012
	}{
		{"between messages", func(c *websocket.Conn, dies func(int)) {
			c.WriteMessage(websocket.TextMessage, message)
		}, true},
		{"in the payload", func(c *websocket.Conn, dies func(int)) {
			dies(30_000)
			c.WriteMessage(websocket.TextMessage, message)
		}, false},
		{"in the payload of the second", func(c *websocket.Conn, dies func(int)) {
			c.WriteMessage(websocket.TextMessage, message)
			dies(4000)
			c.WriteMessage(websocket.TextMessage, message)
		}, false},
		{"after the first byte of the header", func(c *websocket.Conn, dies func(int)) {
			c.WriteMessage(websocket.TextMessage, []byte("whole"))
			dies(1)
			c.WriteMessage(websocket.TextMessage, message)
		}, false},
		{"within the length", func(c *websocket.Conn, dies func(int)) {
			dies(3)
			c.WriteMessage(websocket.TextMessage, message)
		}, false},
		{"before the last byte of a fragment", func(c *websocket.Conn, dies func(int)) {
			w, _ := c.NextWriter(websocket.TextMessage)
			dies(4096 + 4 - 1) // a fragment is as long as the comet's buffer, with its header before it
			w.Write(long)
		}, false},
		{"between fragments, after a ping", func(c *websocket.Conn, dies func(int)) {
			w, _ := c.NextWriter(websocket.TextMessage)
			w.Write(long) // some whole fragments leave, the message is not over
			c.WriteControl(websocket.PingMessage, []byte("between fragments"), time.Time{})
		}, true},
		{"after its own close frame", func(c *websocket.Conn, dies func(int)) {
			c.WriteMessage(websocket.TextMessage, message)
			c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "done"), time.Time{})
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var conn atomic.Pointer[dying]
			var a *fakeComet
			killed := make(chan struct{})
			fragments := websocket.Upgrader{EnableCompression: true, WriteBufferSize: 4096 + 14, CheckOrigin: func(*http.Request) bool { return true }}
			a = newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
				wrap := func(c net.Conn) net.Conn {
					d := &dying{Conn: c, left: -1, kill: sync.OnceFunc(func() { go func() { a.kill(); close(killed) }() })}
					conn.Store(d)
					return d
				}
				c, err := fragments.Upgrade(hijackOf{w, wrap}, r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				d := conn.Load()
				d.mu.Lock()
				d.wrote.Reset() // the 101
				d.mu.Unlock()
				tc.says(c, d.dieAfter)
				d.kill()
				<-killed
			})
			b := way.listing(t, quick(), a)
			var line *heard
			dialer := websocket.Dialer{EnableCompression: true, NetDial: func(network, addr string) (net.Conn, error) {
				c, err := net.Dial(network, addr)
				line = &heard{Conn: c}
				return line, err
			}}
			c, resp, err := dialer.Dial("ws://"+b.addr+"/cometd", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if resp.Header.Get("Sec-WebSocket-Extensions") == "" {
				t.Fatal("no compression was negotiated")
			}
			for err == nil {
				_, _, err = c.ReadMessage()
			}
			d := conn.Load()
			line.mu.Lock()
			_, got, _ := bytes.Cut(line.all.Bytes(), []byte("\r\n\r\n"))
			d.mu.Lock()
			want := bytes.Clone(d.wrote.Bytes())
			d.mu.Unlock()
			if tc.bye {
				want = append(want, wsframe.Close(wsframe.Restart)...)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the client got %d bytes, and was to get %d, the close frame included; the same up to %d", len(got), len(want), same(got, want))
			}
			line.mu.Unlock()
			var end *websocket.CloseError
			if told := errors.As(err, &end) && end.Code == int(wsframe.Restart); told != tc.bye {
				t.Errorf("the client ends with %v", err)
			}
			c.Close()
			b.until("the tunnel has ended", func() bool { return b.tunnels.Len() == 0 })
		})
	}
}

// same is how many bytes of two are the same from the beginning.
func same(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
