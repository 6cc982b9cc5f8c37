package comet

import (
	"net"
	"testing"

	"github.com/valyala/fasthttp"
)

// Of the lines that come back at once only a few begin; one that comes to wait lets the
// next begin.
func TestShift(t *testing.T) {
	s := testServer(t, patience)
	g := &gate{srv: s, http: &fasthttp.Server{Handler: s.Handler, Logger: quiet{s.log}}}
	w := &shift{running: shiftSize(), timing: true} // others are at it, and are not late
	const lines = 3
	for range lines {
		client, server := net.Pipe()
		client.Close() // so that each is served quickly
		w.serve(&line{Conn: server, gate: g})
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
	w.workers.Wait()
	if waiting, running := state(); waiting != 0 || running != shiftSize()-1 {
		t.Errorf("%d wait for their turn, %d run", waiting, running)
	}
	for range shiftSize() - 1 {
		w.pass() // with nobody waiting none begins
	}
	if _, running := state(); running != 0 {
		t.Errorf("%d run", running)
	}
}
