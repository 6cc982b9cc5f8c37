package comet

import (
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// tightListener has no room while full says so.
type tightListener struct {
	net.Listener
	full func() bool
}

func (l tightListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil && l.full() {
		conn.Close()
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return conn, err
}

// A process without a file descriptor left goes on, and closes connections that rest,
// the oldest first.
func TestNoFileDescriptors(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var full atomic.Bool
	dial := func() (net.Conn, error) { return net.Dial("tcp4", ln.Addr().String()) }
	f := startOn(t, tightListener{ln, full.Load}, dial, nil, nil)
	id := f.connected("/b")
	held := f.held(id, `[{"channel":"/meta/connect","clientId":"%"}]`)
	f.waitHeld(id)
	f.client.CloseIdleConnections()
	f.waitResting(0)
	resting, _ := f.raw()
	f.waitResting(1)

	full.Store(true)
	conn, _ := f.raw() // it waits in vain
	conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Fatal("there was room")
	}
	resting.SetReadDeadline(time.Now().Add(patience))
	if _, err := resting.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("a connection that rests: %v", err)
	}

	full.Store(false)
	f.post(f.connected(), `[{"channel":"/b","clientId":"%","data":"hello"}]`)
	mustHold(t, receive(t, "the held poll", held).body, `"data":"hello"`)
}
