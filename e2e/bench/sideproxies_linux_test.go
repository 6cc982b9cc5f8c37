package bench

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"text/template"
	"time"

	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/rig"
	"github.com/halleycomet/halley/internal/sticky"
	"github.com/halleycomet/halley/internal/testenv"
)

// proxy is one of those that are measured.
type proxy struct {
	column string // of the table
	start  func(tb testing.TB, backends []string) (p *proc.Process, addr netip.AddrPort)
}

const (
	ourColumn  = "balancer"
	theHAProxy = "HAProxy"
)

// sideProxies are the balancer, and those of the others that this machine has. Another HAProxy may be
// named by HAPROXY.
func sideProxies(t *testing.T) []proxy {
	t.Helper()
	all := []proxy{{ourColumn, startBalancer}}
	add := func(name, path, versionFlag, config string, args ...string) {
		out, err := exec.Command(path, versionFlag).CombinedOutput()
		version := regexp.MustCompile(`\d+\.\d+\.\d+`).Find(out)
		if err != nil || version == nil {
			t.Fatalf("%s %s: %v: %s", path, versionFlag, err, out)
		}
		all = append(all, proxy{name + " " + string(version), startOther(path, config, args...)})
	}
	if path, err := testenv.System("haproxy"); err == nil {
		add(theHAProxy, path, "-v", "haproxy.cfg", "-db", "-f")
	}
	if path := os.Getenv("HAPROXY"); path != "" {
		add(theHAProxy, path, "-v", "haproxy.cfg", "-db", "-f")
	}
	if path, err := testenv.System("nginx"); err == nil {
		add("nginx", path, "-v", "nginx.conf", "-e", "stderr", "-c")
	}
	return all
}

func startBalancer(tb testing.TB, backends []string) (*proc.Process, netip.AddrPort) {
	tb.Helper()
	ports := filepath.Join(tb.TempDir(), "ports")
	p := proc.Start(tb, proc.Spec{
		Name: "balancer", Path: proc.Program(tb, "balancer"),
		Args: []string{"serve", "--name", "bench", "--listen", "127.0.0.1:0", "--comets", "http://" + strings.Join(backends, ",http://"), "--port-file", ports},
		Env:  []string{"GOMAXPROCS=2"},
	})
	return p, netip.MustParseAddrPort(p.Ports(ports)["listen"])
}

// startOther starts a program with its configuration of testdata/bench.
func startOther(path, config string, args ...string) func(testing.TB, []string) (*proc.Process, netip.AddrPort) {
	return func(tb testing.TB, backends []string) (*proc.Process, netip.AddrPort) {
		tb.Helper()
		root, err := proc.Root()
		if err != nil {
			tb.Fatal(err)
		}
		form, err := template.ParseFiles(filepath.Join(root, "testdata", "bench", config))
		if err != nil {
			tb.Fatal(err)
		}
		dir := tb.TempDir()
		addr := freeAddress(tb)
		file, err := os.Create(filepath.Join(dir, config))
		if err != nil {
			tb.Fatal(err)
		}
		err = form.Execute(file, struct {
			Listen, Dir string
			Backends    []string
		}{addr, dir, backends})
		if err != nil {
			tb.Fatal(err)
		}
		if err := file.Close(); err != nil {
			tb.Fatal(err)
		}
		p := proc.Start(tb, proc.Spec{Name: filepath.Base(path), Path: path, Args: append(append([]string{}, args...), file.Name())})
		proc.Until(tb, proc.Patience, path+" listens", func() error {
			if p.Ended() {
				tb.Fatalf("%s ended: %s", path, p.Log())
			}
			conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", addr)
			if err != nil {
				return err
			}
			return conn.Close()
		})
		return p, netip.MustParseAddrPort(addr)
	}
}

// freeAddress is one that nobody listened on just now.
func freeAddress(tb testing.TB) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// backend is a process that answers.
type backend struct {
	*proc.Process
	addr string
	said chan string // its lines after the first
}

// The lines with which a backend answers.
var (
	answeredLine = regexp.MustCompile(`^answered (\d+)$`)
	countLine    = regexp.MustCompile(`^held (\d+) tunnels (\d+)$`)
)

func startBackends(tb testing.TB) []*backend {
	tb.Helper()
	var all []*backend
	for i := range 2 {
		b := &backend{said: make(chan string, 16)}
		var once sync.Once
		first := make(chan string, 1)
		b.Process = proc.Start(tb, proc.Spec{Name: fmt.Sprintf("backend%d", i), Path: proc.Program(tb, "backend"), OnLine: func(line string) {
			isFirst := false
			once.Do(func() { first <- line; isFirst = true })
			if !isFirst {
				b.said <- line
			}
		}})
		select {
		case b.addr = <-first:
		case <-time.After(proc.Patience):
			tb.Fatal("a backend has no address")
		}
		all = append(all, b)
	}
	return all
}

// ask sends a command and returns the numbers of the answer.
func (b *backend) ask(command string, answer *regexp.Regexp) (numbers []int, err error) {
	if err := b.Send(command); err != nil {
		return nil, err
	}
	select {
	case line := <-b.said:
		found := answer.FindStringSubmatch(line)
		if found == nil {
			return nil, fmt.Errorf("%s: backend says %q", command, line)
		}
		for _, n := range found[1:] {
			var number int
			fmt.Sscan(n, &number)
			numbers = append(numbers, number)
		}
		return numbers, nil
	case <-time.After(proc.Patience):
		return nil, fmt.Errorf("%s: no answer from the backend", command)
	}
}

// stage is a proxy with backends behind it.
type stage struct {
	tb       testing.TB
	proxy    *proc.Process
	addr     netip.AddrPort
	backends []*backend
	cookies  []string // of clients, evenly for both backends
}

// setUp starts everything, and waits until both backends answer through the proxy.
func setUp(tb testing.TB, p proxy) *stage {
	tb.Helper()
	s := &stage{tb: tb, backends: startBackends(tb)}
	var addrs []string
	for _, b := range s.backends {
		addrs = append(addrs, b.addr)
	}
	for i := range 16_384 {
		s.cookies = append(s.cookies, sticky.NewCookie(sticky.NameTag("http://"+addrs[i%len(addrs)])))
	}
	s.proxy, s.addr = p.start(tb, addrs)
	proc.Until(tb, proc.Patience, p.column+" answers", func() error {
		c, err := rig.Dial(s.addr, 0, 8)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Closed(s.publishes(), 32, proc.Patience)
		return err
	})
	return s
}

// close ends everything, so that the next to be measured is alone.
func (s *stage) close() {
	s.proxy.Stop(proc.Patience)
	for _, b := range s.backends {
		b.Kill()
	}
}

func (s *stage) publishes() [][]byte { return requests(s.cookies, rig.Publish) }
func (s *stage) connects() [][]byte  { return requests(s.cookies, rig.Connect) }

func requests(cookies []string, of func(string) []byte) [][]byte {
	all := make([][]byte, len(cookies))
	for i, c := range cookies {
		all[i] = of(c)
	}
	return all
}

func (s *stage) dial(n int) *rig.Client {
	s.tb.Helper()
	c, err := rig.Dial(s.addr, 0, n)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(c.Close)
	return c
}

func (s *stage) usage() rig.Usage {
	s.tb.Helper()
	u, err := rig.UsageOf(s.proxy.PID())
	if err != nil {
		s.tb.Fatal(err)
	}
	return u
}
