package client

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// app is a client under test and what its callbacks were told.
type app struct {
	*Client
	f      *fake
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // of Run, when ended is closed

	mu   sync.Mutex
	told []string
}

// run starts a client on f; adjust changes its configuration first.
func (f *fake) run(adjust func(*Config, *app)) *app {
	f.t.Helper()
	a := &app{f: f, ended: make(chan struct{})}
	cfg := DefaultConfig("http://fake.example/cometd")
	cfg.Proxy = nil
	cfg.Dial = f.ln.dial
	cfg.OnHandshake = func(r Reply) { a.tell("handshake " + r.ClientID) }
	cfg.OnConnect = func() { a.tell("connect") }
	cfg.OnBreak = func(err error) { a.tell("break: " + err.Error()) }
	cfg.OnDisconnect = func(err error) { a.tell(fmt.Sprintf("disconnect: %v", err)) }
	cfg.OnMessage = func(m *bayeux.Message) { a.tell("message " + m.Channel + " " + string(m.Data)) }
	if adjust != nil {
		adjust(&cfg, a)
	}
	c, err := New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	a.Client = c
	ctx, cancel := context.WithCancel(f.t.Context())
	a.cancel = cancel
	go func() {
		defer close(a.ended)
		a.err = c.Run(ctx)
	}()
	f.t.Cleanup(a.stop)
	return a
}

func (a *app) stop() {
	a.cancel()
	<-a.ended
}

func (a *app) tell(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.told = append(a.told, what)
}

func (a *app) heard() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.told...)
}

// pass lets virtual time go by, and everything happen that then happens.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("%s:\n%s\nwant:\n%s", what, g, w)
	}
}

func over(t Transport) func(*Config, *app) {
	return func(c *Config, _ *app) { c.Transports = []Transport{t} }
}

// pipeListener is a net.Listener of in-memory connections.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	refuse func() error // asked at each dial
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if l.refuse != nil {
		if err := l.refuse(); err != nil {
			return nil, err
		}
	}
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
