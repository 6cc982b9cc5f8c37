package balancer

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/park"
	"github.com/halleycomet/halley/internal/testenv"
)

// oneLoop is a balancer with all its tunnels in one loop.
func oneLoop(t *testing.T, cfg Config, comets ...*fakeComet) *running {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("skipped: loops need Linux")
	}
	for _, c := range comets {
		cfg.Comets = append(cfg.Comets, "http://"+c.addr)
	}
	b, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.loops = park.NewLoops(1)
	r := start(t, b)
	r.until("ready", b.Ready)
	return r
}

// A tunnel through which as much passes as its two sides can bear leaves the others
// in the same loop their turn.
func TestTunnelsTakeTurns(t *testing.T) {
	comets := make(chan net.Conn, 1)
	a := newFakeComet(t, "a", nil)
	a.serve(func(w http.ResponseWriter, r *http.Request) {
		if a.requests() == 1 {
			echoSocket(w, r)
			return
		}
		rawSocket(comets)(w, r)
	})
	b := oneLoop(t, quick(), a)
	quiet := b.dial("/cometd")
	flood, _, _ := b.rawDial("")
	comet := <-comets
	var wg sync.WaitGroup
	defer wg.Wait()
	defer flood.Close()
	defer comet.Close()
	var passed int64
	floods(&wg, comet)
	wg.Go(func() { passed, _ = io.Copy(io.Discard, flood) })
	began := time.Now()
	for i := 0; i < 200 || time.Since(began) < 500*time.Millisecond; i++ {
		if took := func() time.Duration {
			at := time.Now()
			if err := echoes(quiet, "hello"); err != nil {
				t.Fatal(err)
			}
			return time.Since(at)
		}(); took > testenv.Bound(500*time.Millisecond) {
			t.Fatalf("echo %d took %v", i, took)
		}
	}
	comet.Close()
	flood.Close()
	wg.Wait()
	if passed < 10<<20 {
		t.Errorf("the other passed %d bytes only", passed)
	}
}

// One direction of a tunnel passes on so much, and then others have their turn.
func TestTunnelTurnIsBounded(t *testing.T) {
	comets := make(chan net.Conn, 1)
	a := newFakeComet(t, "a", rawSocket(comets))
	b := oneLoop(t, quick(), a)
	client, br, _ := b.rawDial("")
	comet := <-comets
	defer comet.Close()
	var l *looped
	b.until("a loop has it", func() bool {
		for _, e := range b.tunnels.those(func(ending) bool { return true }) {
			l, _ = (*e.(*tunnel).by.Load()).(*looped)
		}
		return l != nil
	})
	sent := frame(2, true, noise(3*tunnelTurn), false)
	// While the loop is kept, more than a turn arrives from the comet.
	kept, free := make(chan struct{}), make(chan struct{})
	l.loop.Post(func() { close(kept); <-free })
	<-kept
	if _, err := comet.Write(sent); err != nil {
		t.Fatal(err)
	}
	turns := make(chan int, 1)
	l.loop.Post(func() { // the first turn was when the loop was told that there is something
		before := l.frames.left
		l.pump(&l.down)
		turns <- int(before - l.frames.left)
	})
	close(free)
	if n := <-turns; n > tunnelTurn {
		t.Errorf("%d bytes in one turn, more than %d", n, tunnelTurn)
	} else if n == 0 {
		t.Error("nothing was left for a second turn")
	}
	got := make([]byte, len(sent))
	client.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(br, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("not all arrives: %v", err)
	}
}

// While a loop does not take a connection, goroutines do.
func TestTunnelWithoutLoop(t *testing.T) {
	client, outer := tcpPair(t)
	comet, inner := tcpPair(t)
	ended := make(chan tunnelEnd, 1)
	tun := &tunnel{limit: time.Second, release: func() {}, ended: func(why tunnelEnd) { ended <- why }}
	p := &pair{tunnel: tun, client: client, comet: comet}
	tun.carriedBy(p)
	o := &opening{tunnel: tun, wire: &wire{src: newSource(comet)}, pair: p, answer: []byte("answer")}
	new(Balancer).loopTunnel(park.NewLoops(1).Next(), o, client, comet) // which nobody runs
	if got := (*tun.by.Load()).(*pair); got != p {
		t.Error("the goroutines do not have it")
	}
	inner.Write(frame(1, true, []byte("frame"), false))
	inner.Close()
	want := append(append([]byte("answer"), frame(1, true, []byte("frame"), false)...), closeFrame(closeRestart)...)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(outer, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("% x %v", got, err)
	}
	outer.Close()
	if why := <-ended; why != endNone {
		t.Errorf("ended by %v", why)
	}
}

// A loop that has taken only one of the two connections gives it back, and the
// goroutines know what was wanted of the tunnel meanwhile.
func TestTunnelOfWhichALoopTakesHalf(t *testing.T) {
	for _, end := range []func(*tunnel){
		func(t *tunnel) { t.shut(endStopping) },
		func(t *tunnel) { t.ask(endStopping) },
	} {
		r := oneLoop(t, quick(), newFakeComet(t, "a", nil))
		client, outer := tcpPair(t)
		comet, inner := tcpPair(t)
		closed, _ := tcpPair(t)
		closed.Close()
		ended := make(chan tunnelEnd, 1)
		tun := &tunnel{limit: time.Second, release: func() {}, ended: func(why tunnelEnd) { ended <- why }}
		p := &pair{tunnel: tun, client: client, comet: comet}
		tun.carriedBy(p)
		o := &opening{tunnel: tun, wire: &wire{src: newSource(comet)}, pair: p, answer: []byte("answer")}
		end(tun)
		l := r.loops.Next()
		l.Post(func() { r.loopTunnel(l, o, closed, comet) })
		want := append([]byte("answer"), closeFrame(closeGoingAway)...)
		got := make([]byte, len(want))
		outer.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadFull(outer, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("% x %v", got, err)
		}
		outer.Close()
		inner.Close()
		if why := <-ended; why != endStopping {
			t.Errorf("ended by %v", why)
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

// An idle tunnel has two descriptors and no goroutine.
func TestIdleTunnelCosts(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: loops need Linux")
	}
	comets := make(chan net.Conn, 1)
	b := oneLoop(t, quick(), newFakeComet(t, "a", rawSocket(comets)))
	files := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	open := func() {
		b.rawDial("")
		conn := <-comets
		t.Cleanup(func() { conn.Close() })
	}
	open() // what is there once, is there now
	const n = 50
	filesBefore, goroutinesBefore := files(), runtime.NumGoroutine()
	for range n {
		open()
	}
	// Of each tunnel this process has both other ends too, and the HTTP server of the
	// comet has let go of its connection.
	b.until("no more descriptors than that are there", func() bool { return files()-filesBefore <= 4*n })
	b.until("and no more goroutines", func() bool { return runtime.NumGoroutine()-goroutinesBefore < n/2 })
	if b.tunnels.len() != n+1 {
		t.Errorf("%d tunnels", b.tunnels.len())
	}
}
