package park

import (
	"net"
	"testing"

	"github.com/valyala/fasthttp"
)

// Of the lines that come back at once only a few begin; one that comes to wait lets the
// next begin.
func TestShift(t *testing.T) {
	g := &gate{lot: NewLot(New()), http: &fasthttp.Server{Handler: func(*fasthttp.RequestCtx) {}}}
	w := &Shift{running: shiftSize(), timing: true} // others are at it, and are not late
	const lines = 3
	for range lines {
		client, server := net.Pipe()
		client.Close() // so that each is served quickly
		if !w.Serve(&Line{Conn: server, gate: g}) {
			t.Fatal("not served")
		}
	}
	state := func() (waiting, running int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.queue) - w.head, w.running
	}
	if waiting, running := state(); waiting != lines || running != shiftSize() {
		t.Fatalf("%d wait for their turn, %d run", waiting, running)
	}
	w.pass() // one of those that are at it waits for something
	w.Wait()
	if waiting, running := state(); waiting != 0 || running != shiftSize()-1 {
		t.Errorf("%d wait for their turn, %d run", waiting, running)
	}
	if w.Serve(&Line{}) {
		t.Error("served after the end")
	}
	for range shiftSize() - 1 {
		w.pass() // with nobody waiting none begins
	}
	if _, running := state(); running != 0 {
		t.Errorf("%d run", running)
	}
}
