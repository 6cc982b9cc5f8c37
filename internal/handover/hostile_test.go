//go:build unix

package handover

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// What is no process that offers sockets is refused by the one that asks.
func TestAskRefuses(t *testing.T) {
	for says, want := range map[string]string{
		`{"version":2}`: "version 2",
		`{"version":1,"sockets":[{"name":"listen","addr":"a"}]}`: "1 sockets were announced, 0 came",
		`nonsense`:                        "no greeting",
		strings.Repeat("x", maxLine+5000): "too long",
	} {
		path := filepath.Join(t.TempDir(), "s")
		ln, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = conn.Write([]byte(says + "\n")) // the other side may not read all of it
			_, _ = conn.Read(make([]byte, 4096))
		}()
		if p, err := Ask(path); p != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.50q: %v, %v; want %q", says, p, err, want)
		}
		ln.Close()
		<-ended
	}
}

// A process that has no gossip, or has left it already, is not asked to leave it.
func TestYieldOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	old := offering(t, path, 0)
	p := ask(t, path)
	if err := p.Yield(); err != nil {
		t.Fatal(err)
	}
	if err := p.Yield(); err == nil || old.yields.Load() != 1 {
		t.Errorf("again: %v, %d yields", err, old.yields.Load())
	}
	until(t, "the gossip is taken up again", func() bool { return old.resumes.Load() == 1 })

	without := &Offer{Log: zap.NewNop(), patience: time.Minute}
	mine, theirs := unixPair(t)
	ended := make(chan error, 1)
	go func() {
		_, err := without.serve(t.Context(), theirs)
		ended <- err
	}()
	l := &line{conn: mine}
	defer l.close()
	if err := l.sayHello(hello{Version: version}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.hearHello(); err != nil {
		t.Fatal(err)
	}
	if err := l.say(lineYield); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), lineYield) {
		t.Errorf("without gossip: %v", err)
	}
}

func unixPair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "p"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if a, err = net.DialUnix("unix", nil, ln.Addr().(*net.UnixAddr)); err != nil {
		t.Fatal(err)
	}
	if b, err = ln.AcceptUnix(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}
