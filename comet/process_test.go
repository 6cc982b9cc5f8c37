package comet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// roleVar makes a process of this test binary a server that is measured from
// outside: "comet", or "bare", which is the bare loop that the comet is compared with.
const roleVar = "HALLEY_TEST_ROLE"

// notOurs are goroutines of fasthttp that end some time after their server or client.
var notOurs = []goleak.Option{
	goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
	goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*HostClient).connsCleaner"),
	goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*Client).mCleaner"),
}

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVar); role {
	case "":
		code := m.Run()
		if err := goleak.Find(notOurs...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		os.Exit(code)
	default:
		if err := serveRole(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// serveRole serves on loopback, tells its address, and obeys the lines on its
// standard input until that ends.
func serveRole(role string) error {
	ln, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	served := make(chan error, 1)
	switch role {
	case "bare":
		go func() { served <- serveBare(ln) }()
	default:
		cfg := testConfig()
		cfg.Timeout, cfg.WebSocketIdleTimeout = time.Hour, 2*time.Hour
		cfg.MaxQueueBytes, cfg.MaxQueue = 64<<20, 1<<20
		s, err := New(cfg)
		if err != nil {
			return err
		}
		go func() { served <- s.Serve(ctx, ln) }()
	}
	fmt.Println(ln.Addr().(*net.TCPAddr).Port)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		word, file, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "cpu":
			fmt.Println(int64(cpuTime()))
		case "resident":
			fmt.Println(resident())
		case "free":
			debug.FreeOSMemory()
			fmt.Println()
		case "profile":
			f, err := os.Create(file)
			if err != nil {
				return err
			}
			fmt.Println()
			if err := pprof.StartCPUProfile(f); err != nil {
				return err
			}
		case "heap":
			f, err := os.Create(file)
			if err != nil {
				return err
			}
			pprof.WriteHeapProfile(f)
			f.Close()
			fmt.Println()
		case "stop":
			pprof.StopCPUProfile()
			fmt.Println()
		}
	}
	cancel()
	ln.Close()
	if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// process is a server in a process of its own.
type process struct {
	tb    testing.TB
	port  int
	in    io.Writer
	lines *bufio.Scanner
}

func startProcess(tb testing.TB, role string) *process {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVar+"="+role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("%s: %v", role, err)
		}
	})
	p := &process{tb: tb, in: in, lines: bufio.NewScanner(out)}
	p.port = int(p.number())
	return p
}

// ask sends a line and returns the number in the answer; 0 for none.
func (p *process) ask(line string) int64 {
	p.tb.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		p.tb.Fatal(err)
	}
	return p.number()
}

func (p *process) number() (n int64) {
	p.tb.Helper()
	if !p.lines.Scan() {
		p.tb.Fatal("the process has ended")
	}
	fmt.Sscan(p.lines.Text(), &n)
	return n
}

// untold ends a test which needs to know what a process uses, and is not told. Linux
// tells: there it has failed.
func untold(tb testing.TB, err error) {
	tb.Helper()
	if runtime.GOOS == "linux" {
		tb.Fatal("the system does not tell: ", err)
	}
	tb.Skip("skipped: the system does not tell: ", err)
}

// profile writes a CPU profile of what happens until the function it returns is
// called, if HALLEY_TEST_PROFILE names a file to write it to.
func (p *process) profile(role string) (stop func()) {
	file := os.Getenv("HALLEY_TEST_PROFILE")
	if file == "" {
		return func() {}
	}
	p.ask("profile " + file + "." + role)
	return func() { p.ask("stop") }
}
