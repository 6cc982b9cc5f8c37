package comet

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/valyala/fasthttp"
)

// An HTTP server of somebody else's can be prepared, and what it sets is kept.
func TestParkingForeignServer(t *testing.T) {
	f := startTCP(t, nil)
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var active atomic.Int32
	server := &fasthttp.Server{
		Name: "theirs",
		Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.Response.Header.Set("X-Theirs", "1")
			f.Handler(ctx)
		},
		ConnState: func(_ net.Conn, state fasthttp.ConnState) {
			if state == fasthttp.StateActive {
				active.Add(1)
			}
		},
	}
	served := make(chan error, 1)
	wrapped := f.Parking(server, ln)
	go func() { served <- server.Serve(wrapped) }()
	defer func() {
		ln.Close()
		<-served
	}()
	f.dial = func() (net.Conn, error) { return net.Dial("tcp4", ln.Addr().String()) }
	id, other := f.connected("/b"), f.connected()
	conn, r := f.raw()
	rawConnect(t, conn, id)
	f.waitParked(1)
	publish(f, other, "/b", 1)
	text, _ := hear(t, r)
	mustHold(t, text, "Server: theirs\r\n", "X-Theirs: 1\r\n", `"data":1`)
	f.waitResting(2)
	if active.Load() == 0 {
		t.Error("its hook was not called")
	}
	limited := &fasthttp.Server{MaxConnsPerIP: 1}
	if f.Parking(limited, ln) != ln {
		t.Error("parks connections that the server counts")
	}
}

// A held connect whose connection is not watched any more is answered, and the
// connection closed.
func TestParkedEnded(t *testing.T) {
	f := startTCP(t, nil)
	id := f.connected("/b")
	conn, r := f.raw()
	rawConnect(t, conn, id)
	f.waitParked(1)
	s := f.session(id)
	s.release(s.heldNow(), releaseHangup)
	if text, _ := io.ReadAll(r); !strings.Contains(string(text), "Connection: close") {
		t.Errorf("%q", text)
	}
}
