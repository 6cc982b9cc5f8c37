package tunnel

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/chunk"
	"github.com/halleycomet/halley/internal/park"
	"github.com/halleycomet/halley/internal/wsframe"
	"github.com/halleycomet/halley/internal/wsframe/wsframetest"
)

// opened is a tunnel that is about to start, with both its ends.
type opened struct {
	*Opening
	client, comet *net.TCPConn // their own ends
	released      int          // how often the connection to the comet was given up
	ended         chan End
}

func openTunnel(t *testing.T) *opened {
	t.Helper()
	o := &opened{ended: make(chan End, 1)}
	client, outer := tcpPair(t)
	comet, inner := tcpPair(t)
	o.client, o.comet = outer, inner
	o.Opening = Open(Sides{
		Client: client, Comet: comet, Source: chunk.NewSource(comet), ClientSocket: client, CometSocket: comet,
		Release: func() { o.released++ },
		Taken:   func() func() { t.Error("a loop has taken it"); return func() {} },
	}, time.Second, func(_ *Tunnel, why End) { o.ended <- why })
	return o
}

// hears reads just this on the client's side.
func (o *opened) hears(t *testing.T, want ...[]byte) {
	t.Helper()
	all := slices.Concat(want...)
	got := make([]byte, len(all))
	o.client.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(o.client, got); err != nil || !bytes.Equal(got, all) {
		t.Errorf("% x %v", got, err)
	}
}

// ends waits for the end.
func (o *opened) ends(t *testing.T, want End) {
	t.Helper()
	if why := <-o.ended; why != want || o.released != 1 {
		t.Errorf("ended by %v, the connection to the comet was given up %d times", why, o.released)
	}
}

// While a loop does not take a connection, goroutines do; likewise without loops.
func TestTunnelWithoutLoop(t *testing.T) {
	for _, loops := range []*park.Loops{park.NewLoops(1), nil} { // which nobody runs
		o := openTunnel(t)
		o.Start(loops, Begun{Answer: []byte("answer")})
		if got := (*o.by.Load()).(*pair); got != o.pair {
			t.Error("the goroutines do not have it")
		}
		frame := wsframetest.Frame(1, true, []byte("frame"), false)
		o.comet.Write(frame)
		o.comet.Close()
		o.hears(t, []byte("answer"), frame, wsframe.Close(wsframe.Restart))
		o.client.Close()
		o.ends(t, None)
	}
}

// A loop that has taken only one of the two connections gives it back, and the
// goroutines know what was wanted of the tunnel meanwhile.
func TestTunnelOfWhichALoopTakesHalf(t *testing.T) {
	for _, end := range []func(*Tunnel){
		func(t *Tunnel) { t.Shut(Stopping) },
		func(t *Tunnel) { t.Ask(Stopping) },
	} {
		loops := startLoops(t)
		o := openTunnel(t)
		closed, _ := tcpPair(t)
		closed.Close()
		o.sides.ClientSocket = closed
		end(o.Tunnel)
		o.Start(loops, Begun{Answer: []byte("answer")})
		o.hears(t, []byte("answer"), wsframe.Close(wsframe.GoingAway))
		o.client.Close()
		o.comet.Close()
		o.ends(t, Stopping)
	}
}

// A tunnel that never starts gives its connections up, at once also when it is asked to
// end meanwhile.
func TestTunnelIsAbandoned(t *testing.T) {
	o := openTunnel(t)
	o.Ask(Draining)
	o.Abandon()
	o.ends(t, None)
	for _, side := range []*net.TCPConn{o.client, o.comet} {
		side.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := side.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
}

func tcpPair(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	one, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { one.Close(); other.Close() })
	return one.(*net.TCPConn), other.(*net.TCPConn)
}
