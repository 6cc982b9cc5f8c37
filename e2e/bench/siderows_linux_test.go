package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/internal/testenv"
)

// extent says how much is measured.
type extent struct {
	warm, requests int           // of each closed loop
	open           time.Duration // of the open loop
	clients        int           // polls, and tunnels
	settle         time.Duration // before memory is read
	messages       int
}

var inFull = extent{warm: 20_000, requests: 100_000, open: 10 * time.Second, clients: 9000, settle: 8 * time.Second, messages: 100_000}

// inSmall shows that everything works.
func inSmall() extent {
	return extent{warm: 300, requests: 1000, open: 300 * time.Millisecond, clients: testenv.Clients(300), messages: 1000}
}

// runTime bounds each single run; none should come near it.
const runTime = 2 * time.Minute

// sideKind is one kind of run: a proxy is started for it, and it gives some figures.
type sideKind struct {
	name    string
	measure func(t *testing.T, p proxy, e extent, tab *sideTable) map[string]float64
}

var sideKinds = []sideKind{
	{"requests", measureRequests},
	{"open", measureOpen},
	{"polls", measurePolls},
	{"tunnels", measureTunnels},
	{"messages", measureMessages},
}

// sideRow is one row of the table.
type sideRow struct {
	id, text, format string
	// most is what the balancer's figure should be at most: so many times HAProxy's, or so much in all.
	timesHAProxy, atMost float64
}

var sideRows = []sideRow{
	{id: "cpu16", text: "CPU of 100,000 requests, 16 connections: s", format: "%.2f", timesHAProxy: 1.25},
	{id: "cpu64", text: "the same, 64 connections: s", format: "%.2f", timesHAProxy: 1.25},
	{id: "cpu256", text: "the same, 256 connections: s", format: "%.2f", timesHAProxy: 1.25},
	{id: "rate16", text: "requests a second then, 16 connections, all on the same processors", format: "%.0f"},
	{id: saturation, text: "the same, 64 connections", format: "%.0f"},
	{id: "rate256", text: "the same, 256 connections", format: "%.0f"},
	{id: "p50", text: "latency at half of HAProxy's rate, open loop, p50: ms", format: "%.2f"},
	{id: "p99", text: "the same, p99: ms", format: "%.2f", timesHAProxy: 1.5},
	{id: "poll", text: "resident memory of a held poll, 9,000 of them: KiB", format: "%.1f", atMost: 4.6},
	{id: "wave", text: "the same after three waves: KiB", format: "%.1f", atMost: 5},
	{id: "pollfiles", text: "file descriptors of a held poll", format: "%.2f"},
	{id: "tunnel", text: "resident memory of an idle WebSocket tunnel, 9,000 of them: KiB", format: "%.1f", atMost: 4.6},
	{id: "echoed", text: "the same after each has echoed 16 KiB: KiB", format: "%.1f", atMost: 5},
	{id: "tunnelfiles", text: "file descriptors of an idle tunnel", format: "%.2f", atMost: 2},
	{id: "messages", text: "CPU of 100,000 messages of 128 bytes through tunnels and back, 64 tunnels: s", format: "%.2f", timesHAProxy: 1.25},
}

// saturation is the row whose HAProxy figure gives the rate of the open loop.
const saturation = "rate64"

func measureRequests(t *testing.T, p proxy, e extent, _ *sideTable) map[string]float64 {
	s := setUp(t, p)
	defer s.close()
	posts := s.publishes()
	figures := map[string]float64{}
	for _, connections := range []int{16, 64, 256} {
		c := s.dial(connections)
		if _, err := c.Closed(posts, e.warm, runTime); err != nil {
			t.Fatal(err)
		}
		before := s.usage().CPU
		took, err := c.Closed(posts, e.requests, runTime)
		if err != nil {
			t.Fatal(err)
		}
		figures[fmt.Sprint("cpu", connections)] = (s.usage().CPU - before).Seconds() * 100_000 / float64(e.requests)
		figures[fmt.Sprint("rate", connections)] = float64(e.requests) / took.Seconds()
		c.Close()
	}
	return figures
}

// measureOpen sends half as many requests as HAProxy managed in the first pair, on 64 connections.
func measureOpen(t *testing.T, p proxy, e extent, tab *sideTable) map[string]float64 {
	rate := tab.half()
	if rate == 0 {
		t.Skip("skipped: HAProxy's rate is not known")
	}
	s := setUp(t, p)
	defer s.close()
	posts := s.publishes()
	c := s.dial(64)
	if _, err := c.Closed(posts, e.warm, runTime); err != nil {
		t.Fatal(err)
	}
	latencies, err := c.Open(posts, rate, e.open)
	if err != nil {
		t.Fatal(err)
	}
	ms := func(q float64) float64 { return float64(latencies.ValueAtQuantile(q)) / 1e6 }
	return map[string]float64{"p50": ms(50), "p99": ms(99)}
}

// each is by how much something grew, for each client, in KiB.
func each(before, after int64, clients int) float64 {
	return float64(after-before) / 1024 / float64(clients)
}

// rest lets what was freed be freed, the same time for all.
func rest(d time.Duration) { <-time.After(d) }

func measurePolls(t *testing.T, p proxy, e extent, _ *sideTable) map[string]float64 {
	s := setUp(t, p)
	defer s.close()
	rest(e.settle)
	before := s.usage()
	c := s.dial(e.clients)
	posts := s.connects()
	arrived := func(n int) error {
		s.waiting(c.Stay, n, 0)
		return nil
	}
	if err := c.Hold(posts, arrived); err != nil {
		t.Fatal(err)
	}
	rest(e.settle)
	held := s.usage()
	for range 3 {
		release := func() error {
			answered := 0
			for _, b := range s.backends {
				n, err := b.ask("answer", answeredLine)
				if err != nil {
					return err
				}
				answered += n[0]
			}
			if answered != e.clients {
				return fmt.Errorf("%d polls were held, not %d", answered, e.clients)
			}
			return nil
		}
		if err := c.Wave(posts, release, runTime); err != nil {
			t.Fatal(err)
		}
		s.waiting(c.Stay, e.clients, 0)
	}
	rest(e.settle)
	again := s.usage()
	return map[string]float64{
		"poll":      each(before.Resident, held.Resident, e.clients),
		"wave":      each(before.Resident, again.Resident, e.clients),
		"pollfiles": float64(held.Files-before.Files) / float64(e.clients),
	}
}

// waiting waits until the backends have so much, while the clients look that nothing happens.
func (s *stage) waiting(stay func() error, held, tunnels int) {
	s.tb.Helper()
	proc.Until(s.tb, runTime, "all have come", func() error {
		if err := stay(); err != nil {
			s.tb.Fatal(err)
		}
		var sum [2]int
		for _, b := range s.backends {
			n, err := b.ask("count", countLine)
			if err != nil {
				return err
			}
			sum[0] += n[0]
			sum[1] += n[1]
		}
		if sum != [2]int{held, tunnels} {
			return fmt.Errorf("the backends have %d polls and %d tunnels, not %d and %d", sum[0], sum[1], held, tunnels)
		}
		return nil
	})
}

func measureTunnels(t *testing.T, p proxy, e extent, _ *sideTable) map[string]float64 {
	s := setUp(t, p)
	defer s.close()
	rest(e.settle)
	before := s.usage()
	c := s.dial(e.clients)
	if err := c.Upgrade(s.cookies, runTime); err != nil {
		t.Fatal(err)
	}
	s.waiting(c.Stay, 0, e.clients)
	rest(e.settle)
	idle := s.usage()
	if err := c.EchoEach(16<<10, runTime); err != nil {
		t.Fatal(err)
	}
	rest(e.settle)
	echoed := s.usage()
	return map[string]float64{
		"tunnel":      each(before.Resident, idle.Resident, e.clients),
		"echoed":      each(before.Resident, echoed.Resident, e.clients),
		"tunnelfiles": float64(idle.Files-before.Files) / float64(e.clients),
	}
}

func measureMessages(t *testing.T, p proxy, e extent, _ *sideTable) map[string]float64 {
	s := setUp(t, p)
	defer s.close()
	c := s.dial(64)
	if err := c.Upgrade(s.cookies, runTime); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Echo(128, e.warm, runTime); err != nil {
		t.Fatal(err)
	}
	before := s.usage().CPU
	if _, err := c.Echo(128, e.messages, runTime); err != nil {
		t.Fatal(err)
	}
	return map[string]float64{"messages": (s.usage().CPU - before).Seconds() * 100_000 / float64(e.messages)}
}

func isHAProxy(column string) bool { return strings.HasPrefix(column, theHAProxy) }
