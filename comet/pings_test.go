package comet

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/halleycomet/halley/internal/park"
)

// pipes is a listener whose connections hold nothing between their ends.
type pipes chan net.Conn

func (p pipes) dial() (net.Conn, error) {
	client, server := net.Pipe()
	p <- server
	return client, nil
}

func (p pipes) Accept() (net.Conn, error) {
	if conn, ok := <-p; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() (err error) {
	defer func() {
		if recover() != nil {
			err = net.ErrClosed // closed before
		}
	}()
	close(p)
	return nil
}

func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

// A client that pings and never reads fills nothing: of its pongs only the newest
// waits, and when none has left for the write timeout it is closed.
func TestPingsWithoutReading(t *testing.T) {
	ln := make(pipes)
	f := startOn(t, ln, ln.dial, func(c *Config) { c.WriteTimeout = 300 * time.Millisecond }, nil)
	c := f.ws().shake()
	var k *socket
	for k = range f.sockets() {
		break
	}
	eventually(t, "what was said so far has left", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.unsent == 0
	})
	frame := make([]byte, 0, 256<<10)
	for len(frame)+131 <= cap(frame) {
		frame = append(frame, 0x89, 0x80|125, 0, 0, 0, 0)
		frame = append(frame, make([]byte, 125)...)
	}
	raw := c.NetConn()
	raw.SetWriteDeadline(time.Now().Add(patience))
	for {
		_, err := raw.Write(frame)
		k.mu.Lock()
		waiting, size, pong := len(k.replies), k.unsent, len(k.pong)
		k.mu.Unlock()
		if waiting > 0 || size > 0 || pong > 2+maxControl {
			t.Fatalf("%d bytes of %d wait, and a pong of %d", waiting, size, pong)
		}
		if err == nil {
			continue
		}
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			t.Fatal("never closed")
		}
		break
	}
	eventually(t, "the socket gone", func() bool { return len(f.sockets()) == 0 })
}

// A client that pings and reads gets each pong, also amid its messages.
func TestPingsOfAReader(t *testing.T) {
	f := startTCP(t, nil)
	c := f.ws().shake("/b")
	publisher := f.connected()
	pongs := make(chan string, 1)
	c.SetPongHandler(func(data string) error { pongs <- data; return nil })
	for i := range 100 {
		data := string(rune('0' + i))
		c.WriteControl(websocket.PingMessage, []byte(data), noDeadline)
		publish(f, publisher, "/b", i)
		c.say(`[]`) // answered after the pong
		for c.hear() != `[]` {
		}
		mustBe(t, receive(t, "the pong", pongs), data)
	}
}

// What counts is that the backlog leaves, not that a byte moves now and then.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		name  string
		read  int // bytes per second
		frame int // bytes
		alive bool
	}{
		{"trickle", 100, 120, false},
		{"trickle of a large frame", 100, 2 * writeChunk, false},
		{"just too slow", writeChunk/10 - 500, 120, false},
		{"slow", writeChunk / 9, 120, true},
		{"slow, large frames", writeChunk / 9, writeChunk, true},
		{"fast", 1 << 20, 120, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				defer client.Close()
				k := newSocket(testServer(t, 10*time.Second), server, false, false)
				for k.unsent < 16*writeChunk {
					k.send(make([]byte, c.frame))
				}
				read := make(chan struct{})
				go func() {
					defer close(read)
					buf := make([]byte, c.read)
					for {
						if _, err := io.ReadFull(client, buf); err != nil {
							return
						}
						time.Sleep(time.Second) // of the bubble
					}
				}()
				time.Sleep(25 * time.Second)
				if alive := !k.ended(); alive != c.alive {
					t.Errorf("alive: %v", alive)
				}
				k.abort()
				client.Close()
				<-read
			})
		})
	}
}

// Likewise where the writer does not wait: each write takes what there is room for, and
// time in which there is room does not count.
func TestPaceOfParkedSockets(t *testing.T) {
	for _, c := range []struct {
		name    string
		takes   int // bytes per second
		seconds int // without room
		room    bool
		alive   bool
	}{
		{"nothing", 0, 25, false, false},
		{"trickle", 100, 25, false, false},
		{"just too slow", writeChunk/10 - 500, 25, false, false},
		{"slow", writeChunk / 9, 25, false, true},
		{"a little at a time", 100, 5, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &flight{pace: pace{timeout: 10 * time.Second}}
				f.waited(0, park.ErrAgain)
				for n := 0; n < c.seconds && f.pace.left() > 0; n++ {
					time.Sleep(time.Second) // of the bubble
					if !c.room {
						f.waited(c.takes, park.ErrAgain)
						continue
					}
					f.waited(c.takes, nil)
					time.Sleep(time.Minute)
					f.waited(0, park.ErrAgain)
				}
				if alive := f.pace.left() > 0; alive != c.alive {
					t.Errorf("alive: %v", alive)
				}
			})
		})
	}
}
