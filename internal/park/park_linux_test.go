package park

import (
	"context"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, // but for what fasthttp leaves behind for a while
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// pair is the two ends of a TCP connection.
func pair(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

func running(t *testing.T, w *Set) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func await(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(20 * time.Second):
		t.Fatalf("waited in vain: %s", what)
	}
}

func TestWatch(t *testing.T) {
	for name, leave := range map[string]func(*net.TCPConn){
		"closed":      func(c *net.TCPConn) { c.Close() },
		"half closed": func(c *net.TCPConn) { c.CloseWrite() },
		"reset":       func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
		"after bytes": func(c *net.TCPConn) { c.Write([]byte("x")); c.Close() },
	} {
		for _, when := range []string{"before Run", "before Watch", "after"} {
			t.Run(name+" "+when, func(t *testing.T) {
				w := New()
				client, server := pair(t)
				gone := make(chan struct{})
				switch when {
				case "before Run":
					w.Watch(server, func() { close(gone) })
					leave(client)
					running(t, w)
				case "before Watch":
					leave(client)
					running(t, w)
					w.Watch(server, func() { close(gone) })
				default:
					running(t, w)
					w.Watch(server, func() { close(gone) })
					leave(client)
				}
				await(t, "the hang-up", gone)
				if w.armed() != 0 {
					t.Error("it is kept after its end")
				}
			})
		}
	}
}

// A connection that is let go is not called for, and can be watched again.
func TestCancel(t *testing.T) {
	w := New()
	running(t, w)
	client, server := pair(t)
	otherClient, other := pair(t)
	cancel := w.Watch(server, func() { t.Error("called after cancel") })
	cancel()
	cancel()
	client.Close()
	gone := make(chan struct{})
	w.Watch(other, func() { close(gone) })
	otherClient.Close()
	await(t, "the other's hang-up", gone)

	gone = make(chan struct{})
	w.Watch(server, func() { close(gone) })
	await(t, "the hang-up, watched again", gone)
}

// What is no socket, and what is watched when nobody runs, does no harm.
func TestUnwatched(t *testing.T) {
	w := New()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	w.Watch(a, nil)()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.Run(ctx); err != nil {
		t.Error(err)
	}
	_, server := pair(t)
	w.Watch(server, nil)()
}

// armed is how many slots are taken, for tests.
func (s *Set) armed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.slots) - len(s.free)
}
