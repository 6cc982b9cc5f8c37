package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
)

const childVar = "CLI_TEST_CHILD"

// TestMain makes of the test binary the process that the signal tests need.
func TestMain(m *testing.M) {
	switch os.Getenv(childVar) {
	case "":
		os.Exit(m.Run())
	case "obedient", "slow", "stubborn":
		p := Program{Name: "child", Default: "wait", Commands: []Command{{Name: "wait", Declare: func(*Settings) Action {
			return Action{Run: func(ctx context.Context, call Call) error {
				fmt.Fprintln(call.Stdout, "ready")
				<-ctx.Done()
				fmt.Fprintln(call.Stdout, context.Cause(ctx))
				switch os.Getenv(childVar) {
				case "slow": // it ends with its standard input
					_, err := io.Copy(io.Discard, os.Stdin)
					return err
				case "stubborn":
					select {}
				}
				return ctx.Err()
			}}
		}}}}
		os.Exit(p.Main())
	}
}

func TestSignals(t *testing.T) {
	for _, c := range []struct {
		child  string
		send   []os.Signal
		says   []string
		status int
	}{
		{"obedient", []os.Signal{syscall.SIGTERM}, []string{"ready", "signal: terminated"}, ExitDone},
		{"obedient", []os.Signal{os.Interrupt}, []string{"ready", "signal: interrupt"}, ExitDone},
		{"slow", []os.Signal{syscall.SIGTERM, os.Interrupt}, []string{"ready", "signal: "}, ExitDone}, // one wish
		{"stubborn", []os.Signal{os.Interrupt}, []string{"ready", "signal: interrupt"}, ExitFailed},
	} {
		t.Run(fmt.Sprint(c.child, c.send), func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), childVar+"="+c.child)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			var errs strings.Builder
			cmd.Stderr = &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for i, want := range c.says {
				if !lines.Scan() || !strings.HasPrefix(lines.Text(), want) {
					t.Errorf("line %q, want %q", lines.Text(), want)
				}
				if i == 0 {
					for _, s := range c.send {
						cmd.Process.Signal(s)
					}
				}
			}
			if c.child == "stubborn" {
				again := time.NewTicker(oneWish / 2)
				defer again.Stop()
				go func() {
					for {
						select {
						case <-again.C:
							cmd.Process.Signal(syscall.SIGTERM)
						case <-t.Context().Done():
							return
						}
					}
				}()
			}
			stdin.Close()
			cmd.Wait()
			if want := map[bool]int{true: 1}[c.status == ExitFailed]; strings.Count(errs.String(), "\n") != want || strings.Count(errs.String(), "told twice to end") != want {
				t.Errorf("logged %q", &errs)
			}
			if got := cmd.ProcessState.ExitCode(); got != c.status {
				t.Errorf("exit status %d (%v), want %d", got, cmd.ProcessState, c.status)
			}
		})
	}
}

func TestStopWithoutSignal(t *testing.T) {
	ctx, stop := SignalContext(context.Background())
	if ctx.Err() != nil {
		t.Fatal("ended before any signal")
	}
	stop()
	if ctx.Err() == nil {
		t.Error("goes on after stop")
	}
}

func TestPortFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ports")
	if _, err := ReadPorts(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before it is there: %v", err)
	}
	for _, c := range []struct {
		ports Ports
		text  string
	}{
		{Ports{"127.0.0.1:1", "127.0.0.1:9", "127.0.0.1:2", "[::1]:3"}, "listen=127.0.0.1:1\ntls-listen=127.0.0.1:9\nadmin=127.0.0.1:2\ngossip=[::1]:3\n"},
		{Ports{Listen: "127.0.0.1:4"}, "listen=127.0.0.1:4\n"},
	} {
		if err := c.ports.WriteFile(path); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil || string(text) != c.text {
			t.Errorf("holds %q, %v; want %q", text, err, c.text)
		}
		if got, err := ReadPorts(path); err != nil || got != c.ports {
			t.Errorf("read back %+v, %v", got, err)
		}
	}
	missing := filepath.Join(dir, "no", "ports")
	if err := (Ports{Listen: "x"}).WriteFile(missing); err == nil || err.Error() != "port file "+missing+": no such file or directory" {
		t.Errorf("no directory: %v", err)
	}
	// A directory cannot be replaced by the rename: the new file must not stay behind.
	os.Mkdir(filepath.Join(dir, "taken"), 0o755)
	if err := (Ports{Listen: "x"}).WriteFile(filepath.Join(dir, "taken")); err == nil {
		t.Error("renamed over a directory")
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
	if err := os.WriteFile(path, []byte("lisen=1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPorts(path); err == nil {
		t.Error("an unknown line went through")
	}
}

func TestLogger(t *testing.T) {
	var b strings.Builder
	log := NewLogger(&b, LogWarn)
	log.Info("quiet")
	for range 300 { // sampling would drop lines after the first hundred
		log.Warn("loud", zap.String("comet", "a"))
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 300 {
		t.Fatalf("%d lines of 300", len(lines))
	}
	var line struct{ Level, Msg, Comet, Ts string }
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil || line.Level != "warn" || line.Msg != "loud" || line.Comet != "a" || line.Ts == "" {
		t.Errorf("%s: %+v, %v", lines[0], line, err)
	}
	for level, want := range map[LogLevel]bool{LogDebug: true, LogInfo: false, LogError: false} {
		b.Reset()
		NewLogger(&b, level).Debug("x")
		if (b.Len() > 0) != want {
			t.Errorf("level %s: a debug line logged: %v", level, b.Len() > 0)
		}
	}
}

// /dev/ptmx is a terminal's side and can be opened without one at hand.
func TestLoggerOnATerminal(t *testing.T) {
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("skipped: needs a pseudo terminal (%v)", err)
	}
	defer tty.Close()
	if !isTerminal(tty) {
		t.Error("a terminal was not seen")
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if isTerminal(file) || isTerminal(&strings.Builder{}) {
		t.Error("a file was taken for a terminal")
	}
}

func TestActor(t *testing.T) {
	execute, interrupt := Actor(func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) })
	why := errors.New("the other ended")
	done := make(chan error, 1)
	go func() { done <- execute() }()
	interrupt(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("ended with %v", err)
	}
}
