package comet

import (
	"io"
	"net"
	"strings"
	"testing"
)

// inTheWay keeps the flusher busy.
type inTheWay struct{ begun, over chan struct{} }

func (i inTheWay) run() {
	close(i.begun)
	<-i.over
}

// A client that goes away after a message has ended its poll, and before the answer is
// written, gets the message with its next connect: nothing is taken from the queue for
// who has gone, be it that only the kernel knows yet.
func TestNothingIsTakenForWhoHasGone(t *testing.T) {
	for name, goAway := range map[string]func(*net.TCPConn){
		"closed":      func(c *net.TCPConn) { c.Close() },
		"half-closed": func(c *net.TCPConn) { c.CloseWrite() },
		"reset":       func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			f := startTCP(t, nil)
			f.flush.most = 1
			id, other := f.connected("/b"), f.connected()
			conn, r := f.raw()
			io.WriteString(conn, post("", strings.ReplaceAll(connectBody, "%", id)))
			f.waitParked(1)
			busy := inTheWay{make(chan struct{}), make(chan struct{})}
			f.flush.schedule(busy)
			<-busy.begun
			publish(f, other, "/b", 1)
			line := f.toAnswer(t).line
			goAway(conn.(*net.TCPConn))
			eventually(t, "the end to arrive", line.Left)
			close(busy.over)
			if name == "half-closed" { // it still listens
				if _, body := hear(t, r); body != "" {
					t.Errorf("answered %s", body)
				}
			}
			mustHold(t, f.post(id, connectBody), `{"channel":"/b","data":1}`)
		})
	}
}

// toAnswer is the poll that the flusher is to answer.
func (f *fixture) toAnswer(t *testing.T) *poll {
	t.Helper()
	f.flush.mu.Lock()
	defer f.flush.mu.Unlock()
	for _, task := range f.flush.tasks[f.flush.head:] {
		if p, ok := task.(*poll); ok {
			return p
		}
	}
	t.Fatal("no poll is to be answered")
	return nil
}
