package comet

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// benchVar makes the test binary a comet that is measured from outside: "parked", or
// "plain" for one whose HTTP server parks nothing and keeps its buffers.
const benchVar = "HALLEY_BENCH_COMET"

// TestBenchComet is that comet. It says its address, then, for each line that comes
// in, how many connects it holds, until there are no more lines.
func TestBenchComet(t *testing.T) {
	kind := os.Getenv(benchVar)
	if kind == "" {
		t.Skip("the other process of the benchmarks")
	}
	cfg := testConfig()
	cfg.Timeout = 4 * time.Minute // nothing ends by itself meanwhile
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("addr", ln.Addr())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	if kind == "plain" {
		server := s.FasthttpServer()
		server.ReduceMemoryUsage = false
		go func() { done <- s.Run(ctx) }()
		go func() { done <- server.Serve(ln) }()
		defer ln.Close()
	} else {
		go func() { done <- s.Serve(ctx, ln) }()
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		held := 0
		for _, session := range s.sessions.all() {
			session.mu.Lock()
			if session.hold != nil {
				held++
			}
			session.mu.Unlock()
		}
		fmt.Println("held", held)
	}
	cancel()
	<-done
}

// benchComet is a comet in a process of its own.
type benchComet struct {
	b    *testing.B
	addr string
	pid  int
	in   io.Writer
	out  *bufio.Scanner
}

func startBenchComet(b *testing.B, kind string) *benchComet {
	cmd := exec.Command(os.Args[0], "-test.run=^TestBenchComet$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), benchVar+"="+kind)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	p := &benchComet{b: b, pid: cmd.Process.Pid, in: in, out: bufio.NewScanner(out)}
	p.addr = p.says("addr ")
	return p
}

func (p *benchComet) says(prefix string) string {
	for p.out.Scan() {
		if rest, ok := strings.CutPrefix(p.out.Text(), prefix); ok {
			return rest
		}
	}
	p.b.Fatal("the comet has ended")
	return ""
}

// awaitHeld waits until n connects are held.
func (p *benchComet) awaitHeld(n int) {
	for end := time.Now().Add(2 * time.Minute); ; {
		fmt.Fprintln(p.in)
		if held, _ := strconv.Atoi(p.says("held ")); held == n {
			return
		}
		if time.Now().After(end) {
			p.b.Fatal("not all are held")
		}
		<-time.After(20 * time.Millisecond)
	}
}

// resident is the process's resident memory in bytes.
func (p *benchComet) resident() float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.pid))
	if err != nil {
		untold(p.b, err)
	}
	pages, _ := strconv.ParseFloat(strings.Fields(string(data))[1], 64)
	return pages * float64(os.Getpagesize())
}

// benchPoller is a client that polls on one connection.
type benchPoller struct {
	conn net.Conn
	r    *bufio.Reader
	id   string
}

// dialBench connects from one of many local addresses, since the ports of one do not
// suffice.
func dialBench(addr string, i int) (net.Conn, error) {
	from := net.TCPAddr{IP: net.IPv4(127, 0, byte(1+i/250), byte(1+i%250))}
	return (&net.Dialer{LocalAddr: &from, Timeout: patience}).Dial("tcp4", addr)
}

func (c *benchPoller) send(messages string) error {
	body := strings.ReplaceAll(messages, "%", c.id)
	_, err := fmt.Fprintf(c.conn, "POST /cometd HTTP/1.1\r\nHost: comet.example\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	return err
}

func (c *benchPoller) receive() (string, error) {
	var resp fasthttp.Response
	c.conn.SetReadDeadline(time.Now().Add(time.Minute))
	err := resp.Read(c.r)
	return string(resp.Body()), err
}

func (c *benchPoller) ask(messages string) (string, error) {
	if err := c.send(messages); err != nil {
		return "", err
	}
	return c.receive()
}

// each runs f for all clients, some at a time.
func each(b *testing.B, clients []*benchPoller, f func(int, *benchPoller) error) {
	b.Helper()
	var all sync.WaitGroup
	next := make(chan int)
	for range 64 {
		all.Go(func() {
			for i := range next {
				if err := f(i, clients[i]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range clients {
		next <- i
	}
	close(next)
	all.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

// newPollers makes clients with a session each, subscribed to /b.
func newPollers(b *testing.B, addr string, n int) []*benchPoller {
	clients := make([]*benchPoller, n)
	for i := range clients {
		clients[i] = &benchPoller{}
	}
	b.Cleanup(func() {
		for _, c := range clients {
			if c.conn != nil {
				c.conn.Close()
			}
		}
	})
	each(b, clients, func(i int, c *benchPoller) (err error) {
		if c.conn, err = dialBench(addr, i); err != nil {
			return err
		}
		c.r = bufio.NewReaderSize(c.conn, 512)
		got, err := c.ask(`[{"channel":"/meta/handshake","id":"1"}]`)
		if err != nil {
			return err
		}
		c.id = clientID(b, got)
		if _, err = c.ask(`[{"channel":"/meta/connect","clientId":"%","id":"2"}]`); err != nil {
			return err
		}
		_, err = c.ask(`[{"channel":"/meta/subscribe","clientId":"%","subscription":"/b"}]`)
		return err
	})
	return clients
}

// BenchmarkHeldPolls reports the comet's resident memory for each held connect: when
// it is held for the first time, and when all have been answered and have come back
// three times.
//
//	go test -run '^$' -bench HeldPolls -benchtime 1x ./comet
func BenchmarkHeldPolls(b *testing.B) {
	const n = 10_000
	for range b.N {
		comet := startBenchComet(b, "parked")
		publisher := newPollers(b, comet.addr, 1)[0]
		<-time.After(time.Second)
		before := comet.resident()
		clients := newPollers(b, comet.addr, n)
		hold := func(_ int, c *benchPoller) error { return c.send(connectBody) }
		each(b, clients, hold)
		comet.awaitHeld(n)
		<-time.After(2 * time.Second) // as a client that looks at it would
		b.ReportMetric((comet.resident()-before)/n, "B/client")
		peak := 0.0
		for range 3 {
			if _, err := publisher.ask(`[{"channel":"/b","clientId":"%","data":1},{"channel":"/meta/connect","clientId":"%"}]`); err != nil {
				b.Fatal(err)
			}
			each(b, clients, func(i int, c *benchPoller) error {
				if _, err := c.receive(); err != nil {
					return err
				}
				return c.send(connectBody)
			})
			comet.awaitHeld(n)
			peak = max(peak, comet.resident())
		}
		b.ReportMetric((peak-before)/n, "B/client-at-most")
		<-time.After(2 * time.Second)
		b.ReportMetric((comet.resident()-before)/n, "B/client-after-3")
		b.ReportMetric(before/(1<<20), "MiB-without")
	}
}

// BenchmarkUnheld compares requests that are answered at once with those to a comet
// that parks nothing: the processor time of the comet per request, as the median of
// the quotients of several rounds, in which the two take turns.
//
//	go test -run '^$' -bench Unheld -benchtime 1x ./comet
func BenchmarkUnheld(b *testing.B) {
	for _, n := range []int{1, 64, 1000} {
		b.Run(fmt.Sprint("clients=", n), func(b *testing.B) {
			plain, parked := startBenchComet(b, "plain"), startBenchComet(b, "parked")
			var clients [2][]*benchPoller
			for i, comet := range []*benchComet{plain, parked} {
				clients[i] = newPollers(b, comet.addr, n)
			}
			for range b.N {
				var quotients, costs []float64
				for range 7 {
					var cost [2]float64
					for i, comet := range []*benchComet{plain, parked} {
						before := comet.processor()
						answers := closedLoop(b, clients[i], time.Second)
						cost[i] = (comet.processor() - before).Seconds() * 1e6 / answers
					}
					quotients = append(quotients, cost[1]/cost[0])
					costs = append(costs, cost[1])
				}
				slices.Sort(quotients)
				slices.Sort(costs)
				b.ReportMetric(quotients[len(quotients)/2], "parked/plain")
				b.ReportMetric(costs[len(costs)/2], "µs/request")
			}
		})
	}
}

// processor is the processor time that the comet has used.
func (p *benchComet) processor() time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		untold(p.b, err)
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / 100 // Linux counts in hundredths
}

// closedLoop has each client ask as soon as it has been answered, and returns how
// many answers came.
func closedLoop(b *testing.B, clients []*benchPoller, d time.Duration) float64 {
	var all sync.WaitGroup
	var answers atomic.Int64
	end := time.Now().Add(d)
	for _, c := range clients {
		all.Go(func() {
			for time.Now().Before(end) {
				if _, err := c.ask(`[{"channel":"/quiet","clientId":"%","data":1}]`); err != nil {
					b.Error(err)
					return
				}
				answers.Add(1)
			}
		})
	}
	all.Wait()
	return float64(answers.Load())
}
