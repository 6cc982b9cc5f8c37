package comet

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
)

// narrow opens a connection that takes little before its client reads.
func (f *fixture) narrow() *net.TCPConn {
	f.tb.Helper()
	conn, err := f.dial()
	if err != nil {
		f.tb.Fatal(err)
	}
	f.tb.Cleanup(func() { conn.Close() })
	tcp := conn.(*net.TCPConn)
	tcp.SetReadBuffer(4096)
	tcp.SetDeadline(time.Now().Add(patience))
	return tcp
}

// backlog leaves so many bytes in the queue of a session.
func (f *fixture) backlog(size int) (id string) {
	f.tb.Helper()
	id = f.connected("/b")
	publisher := f.connected()
	data := `"` + strings.Repeat("z", 32<<10) + `"`
	for n := 0; n < size; n += len(data) {
		publish(f, publisher, "/b", data)
	}
	return id
}

// A client that polls and takes nothing of the answer is closed.
func TestPollWithoutReading(t *testing.T) {
	f := startTCP(t, func(c *Config) {
		c.WriteTimeout = 100 * time.Millisecond
		c.MaxQueueBytes = 64 << 20
	})
	const size = 24 << 20
	id := f.backlog(size)
	conn := f.narrow()
	rawConnect(t, conn, id)
	eventually(t, "the connection closed", func() bool {
		_, err := conn.Write([]byte{' '}) // answered with a reset when the comet has closed
		return err != nil
	})
	if n, err := io.Copy(io.Discard, conn); n >= size {
		t.Errorf("read %d bytes after all (%v)", n, err)
	}
}

// One that takes the answer slowly, and for longer than the timeout, gets it whole,
// but has to take it.
func TestPollSlowly(t *testing.T) {
	var first fasthttp.Response
	first.WriteTo(io.Discard) // starts a goroutine of fasthttp's, outside of the bubbles
	for _, c := range []struct {
		name  string
		pause time.Duration // before each 8 KiB
		whole bool
	}{
		{"slow", time.Second, true},
		{"too slow", 1500 * time.Millisecond, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				defer client.Close()
				var ctx fasthttp.RequestCtx
				ctx.Init2(server, nil, false)
				messages := []*outgoing{{json: make([]byte, 5*writeChunk)}}
				s := testServer(t, 10*time.Second)
				s.answer(&ctx, nil, "", messages, nil)
				done := make(chan error, 1)
				go func() {
					w := bufio.NewWriter(server)
					err := ctx.Response.Write(w)
					done <- errors.Join(err, w.Flush())
					server.Close()
				}()
				buf := make([]byte, writeChunk/8)
				var err error
				for err == nil {
					time.Sleep(c.pause) // of the bubble
					_, err = io.ReadFull(client, buf)
				}
				if err := <-done; (err == nil) != c.whole {
					t.Error(err)
				}
			})
		})
	}
}

// The write timeout runs neither while a connect is held nor between requests.
func TestWriteTimeoutIsThatOfWriting(t *testing.T) {
	f := startTCP(t, func(c *Config) { c.WriteTimeout = 100 * time.Millisecond })
	id, publisher := f.connected("/b"), f.connected()
	conn := f.narrow()
	r := bufio.NewReader(conn)
	var resp fasthttp.Response
	pause := func() { <-time.After(2 * f.cfg.WriteTimeout) }
	for i := range 3 {
		rawConnect(t, conn, id)
		f.waitHeld(id)
		pause()
		publish(f, publisher, "/b", i)
		if err := resp.Read(r); err != nil {
			t.Fatalf("held connect %d: %v", i, err)
		}
		mustHold(t, string(resp.Body()), fmt.Sprintf(`"data":%d`, i))
	}
	pause()
	body := strings.ReplaceAll(`[{"channel":"/meta/subscribe","clientId":"%","subscription":"/c"}]`, "%", id)
	fmt.Fprintf(conn, "POST /cometd HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body))
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "100") {
		t.Fatalf("continue? %q %v", line, err)
	}
	r.ReadString('\n')
	io.WriteString(conn, body)
	if err := resp.Read(r); err != nil {
		t.Fatal(err)
	}
	mustHold(t, string(resp.Body()), `"successful":true`)
	pause()
	io.WriteString(conn, "this is no HTTP\r\n\r\n")
	if err := resp.Read(r); err != nil || resp.StatusCode() != 400 {
		t.Errorf("%d %v", resp.StatusCode(), err)
	}
}
