package balancer

import (
	"context"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
)

// tight has no room for its first connections.
type tight struct {
	net.Listener
	left atomic.Int32
}

func (l *tight) Accept() (net.Conn, error) {
	if l.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

// A balancer without a file descriptor left goes on.
func TestNoFileDescriptors(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Comets = []string{"http://127.0.0.1:1"}
	b, err := New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	full := &tight{Listener: ln}
	full.left.Store(3)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Serve(ctx, full) }()
	conn, err := net.Dial("tcp4", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /cometd HTTP/1.0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 1 {
		t.Errorf("no answer: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
