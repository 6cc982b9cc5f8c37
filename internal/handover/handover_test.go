//go:build unix

package handover

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
)

// offered is an Offer that runs.
type offered struct {
	*Offer
	ln     net.Listener
	cancel context.CancelFunc
	ended  chan error

	yields, resumes atomic.Int32
}

func offering(t *testing.T, path string, patience time.Duration) *offered {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	f := &offered{ln: ln, ended: make(chan error, 1)}
	f.Offer = &Offer{
		Path: path, Sockets: []Socket{{Name: "listen", Addr: "configured:1", Listener: ln}}, Gossip: "gossip:1", Log: zap.NewNop(),
		Yield:    func(context.Context) error { f.yields.Add(1); return nil },
		Resume:   func(context.Context) error { f.resumes.Add(1); return nil },
		patience: patience,
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	go func() { f.ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-f.ended; err != nil && !errors.Is(err, ErrTaken) {
			t.Errorf("Run: %v", err)
		}
	})
	until(t, "it offers", func() bool {
		conn, err := net.Dial("unix", path)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return f
}

func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func ask(t *testing.T, path string) *Predecessor {
	t.Helper()
	p, err := Ask(path)
	if err != nil || p == nil {
		t.Fatalf("%v, %v", p, err)
	}
	t.Cleanup(p.Close)
	return p
}

// A connection that waits when the old process closes its socket is accepted by the
// new one.
func TestSocketsArePassedOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	old := offering(t, path, 0)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	p := ask(t, path)
	for _, other := range [][2]string{{"admin", "configured:1"}, {"listen", "configured:2"}} {
		if ln, err := p.Take(other[0], other[1]); ln != nil || err != nil {
			t.Errorf("%v: %v, %v", other, ln, err)
		}
	}
	ln, err := p.Take("listen", "configured:1")
	if err != nil || ln == nil {
		t.Fatalf("%v, %v", ln, err)
	}
	defer ln.Close()
	if p.Gossip() != "gossip:1" {
		t.Errorf("gossip %q", p.Gossip())
	}
	if err := p.Yield(); err != nil || old.yields.Load() != 1 {
		t.Errorf("%v, %d yields", err, old.yields.Load())
	}
	waiting, err := net.Dial("tcp", old.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	if err := p.Ready(); err != nil {
		t.Fatal(err)
	}
	if err := <-old.ended; !errors.Is(err, ErrTaken) {
		t.Errorf("Run: %v", err)
	}
	old.ended <- nil
	old.ln.Close()
	later, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer later.Close()
	for _, want := range []net.Conn{waiting, later} {
		got, err := ln.Accept()
		if err != nil || got.RemoteAddr().String() != want.LocalAddr().String() {
			t.Fatalf("accepted %v, %v", got, err)
		}
		got.Close()
	}
	if old.resumes.Load() != 0 {
		t.Error("the gossip was taken up again")
	}
	// The next one finds that of the second, and the first's file is not in its way.
	next := offering(t, path, 0)
	if ask(t, path).Gossip() != next.Gossip {
		t.Error("nobody offers")
	}
}

// A new process that goes away before it is ready changes nothing.
func TestSuccessorFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	old := offering(t, path, 0)
	p := ask(t, path)
	if err := p.Yield(); err != nil {
		t.Fatal(err)
	}
	p.Close()
	until(t, "the gossip is taken up again", func() bool { return old.resumes.Load() == 1 })
	ask(t, path).Close()
	if p := ask(t, path); p.Yield() != nil || p.Ready() != nil {
		t.Error("the next one cannot take over")
	}
	if err := <-old.ended; !errors.Is(err, ErrTaken) {
		t.Errorf("Run: %v", err)
	}
	old.ended <- nil
}

// One that is not ready in time is told so.
func TestSuccessorIsLate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	old := offering(t, path, 50*time.Millisecond)
	p := ask(t, path)
	if err := p.Yield(); err != nil {
		t.Fatal(err)
	}
	until(t, "it has waited for long enough", func() bool { return old.resumes.Load() == 1 })
	if err := p.Ready(); !errors.Is(err, ErrEnough) {
		t.Errorf("Ready: %v", err)
	}
}

// A predecessor that dies leaves the new one on its own.
func TestPredecessorDies(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	old := offering(t, path, 0)
	p := ask(t, path)
	old.cancel()
	if err := <-old.ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	old.ended <- nil
	if err := p.Ready(); err != nil {
		t.Errorf("Ready: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its file: %v", err)
	}
}

func TestNobodyOffers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if p, err := Ask(path); p != nil || err != nil {
		t.Errorf("%v, %v", p, err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false) // as a process that was killed leaves it
	ln.Close()
	if p, err := Ask(path); p != nil || err != nil {
		t.Errorf("%v, %v", p, err)
	}
	offering(t, path, 0)
	ask(t, path)
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&Offer{Path: file}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file: %v", err)
	}
}

// Who does not speak the protocol gets nothing, and does no harm.
func TestStrangers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	offering(t, path, 0)
	for _, says := range []string{"", "GET / HTTP/1.1\r\n\r\n", `{"version":2}` + "\n", strings.Repeat("x", maxLine+5000), `{"version":1}` + "\nnonsense\n"} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, says)
		conn.(*net.UnixConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn) // until it hangs up
		conn.Close()
	}
	ask(t, path)
}

// activated is what a child of the test was given.
const activatedVar = "HANDOVER_TEST_NAMES"

func TestMain(m *testing.M) {
	if names := os.Getenv(activatedVar); names != "" {
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
		found, err := Activated(strings.Split(names, ",")...)
		if err != nil {
			os.Stdout.WriteString("error: " + err.Error())
		}
		for _, name := range strings.Split(names, ",") {
			if ln := found[name]; ln != nil {
				os.Stdout.WriteString(name + "=" + ln.Addr().String() + " ")
			}
		}
		if os.Getenv("LISTEN_FDS") != "" {
			os.Stdout.WriteString("the environment is as it was")
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestActivated(t *testing.T) {
	var files []*os.File
	var addrs []string
	for range 2 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		f, err := ln.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files, addrs = append(files, f), append(addrs, ln.Addr().String())
	}
	for _, c := range []struct {
		names string // of the sockets that are given
		n     int
		want  string
	}{
		{"", 0, ""},
		{"listen", 1, "listen=" + addrs[0] + " "},
		{"halley.socket", 1, "listen=" + addrs[0] + " "},
		{"admin", 1, "admin=" + addrs[0] + " "},
		{"admin:listen", 2, "listen=" + addrs[1] + " admin=" + addrs[0] + " "},
		{"", 1, "listen=" + addrs[0] + " "},
		{"listen:halley.socket", 2, "error: socket activation: sockets are named listen, admin, each once (FileDescriptorName=), not halley.socket"},
		{"listen:listen", 2, "error: socket activation: sockets are named listen, admin, each once (FileDescriptorName=), not listen"},
	} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), activatedVar+"=listen,admin")
		if c.n > 0 {
			cmd.Env = append(cmd.Env, "LISTEN_FDS="+strconv.Itoa(c.n), "LISTEN_FDNAMES="+c.names)
		}
		cmd.ExtraFiles = files[:c.n]
		out, err := cmd.CombinedOutput()
		if got := string(out); err != nil || got != c.want {
			t.Errorf("%d sockets named %q: %v %q, want %q", c.n, c.names, err, got, c.want)
		}
	}
}
