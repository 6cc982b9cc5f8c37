package balancer

import (
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
	if b.tunnels.Len() != n+1 {
		t.Errorf("%d tunnels", b.tunnels.Len())
	}
}
