package balancer

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/testenv"
)

// faultyClient sends messages in every way that a client may, and leaves at any moment.
type faultyClient struct {
	t      *testing.T
	addr   string
	from   net.Addr
	token  string
	ledger *ledger
	rnd    *rand.Rand

	n       int
	conn    net.Conn
	br      *bufio.Reader
	sent    []string          // ids of publishes
	verdict map[string]string // what the client was told of them: ok, or the error
}

func (c *faultyClient) dial() bool {
	if c.conn != nil {
		c.conn.Close()
	}
	d := net.Dialer{LocalAddr: c.from, Timeout: 10 * time.Second}
	conn, err := d.Dial("tcp", c.addr)
	if err != nil {
		c.t.Errorf("%s: %v", c.token, err)
		return false
	}
	conn.SetDeadline(time.Now().Add(60 * time.Second))
	c.conn, c.br = conn, bufio.NewReader(conn)
	return true
}

// message is the next request, and the id in it.
func (c *faultyClient) message(poll bool) (request, id string) {
	c.n++
	id = fmt.Sprintf("%s-%d", c.token, c.n)
	m := said{ID: id, Channel: "/chat", Data: c.token}
	if poll {
		m.Channel = "/meta/connect"
	} else {
		c.sent = append(c.sent, id)
	}
	if c.rnd.IntN(10) == 0 {
		m.Data += strings.Repeat(" ", c.rnd.IntN(20<<10))
	}
	body, _ := json.Marshal([]said{m})
	if c.rnd.IntN(20) == 0 {
		return fmt.Sprintf("POST /cometd HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body), id
	}
	return laneRequest(string(body)), id
}

// heard reads an answer, and tells whether the connection goes on.
func (c *faultyClient) heard(id string) bool {
	res, err := http.ReadResponse(c.br, nil)
	if err != nil {
		c.t.Errorf("%s: no answer: %v", id, err)
		return false
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Errorf("%s: %v within the answer", id, err)
		return false
	}
	var replies []said
	if err := json.Unmarshal(body, &replies); err != nil || len(replies) != 1 || replies[0].ID != id || replies[0].Successful == nil {
		c.t.Errorf("%s: answered %d %.300q", id, res.StatusCode, body)
		return false
	}
	r := replies[0]
	if !*r.Successful {
		c.verdict[id], _, _ = strings.Cut(r.Error, ":")
	} else {
		c.verdict[id] = "ok"
		if strings.TrimSpace(r.Data) != c.token && r.Channel != "/meta/connect" {
			c.t.Errorf("%s: the answer is that to %.100q", id, r.Data)
		}
	}
	return !res.Close
}

// leave ends the connection, in one of the ways.
func (c *faultyClient) leave() {
	switch c.rnd.IntN(3) {
	case 0:
		reset(c.conn)
	case 1:
		c.conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c.conn)
	}
	c.dial()
}

func (c *faultyClient) step() {
	request, id := c.message(c.rnd.IntN(4) == 0)
	switch way := c.rnd.IntN(20); {
	case way < 3: // in pieces
		for i := 0; i < len(request); {
			n := min(len(request)-i, 1+c.rnd.IntN(len(request)/3+1))
			io.WriteString(c.conn, request[i:i+n])
			i += n
			runtime.Gosched()
		}
	case way < 6: // another behind it
		more, next := c.message(c.rnd.IntN(4) == 0)
		io.WriteString(c.conn, request)
		if c.rnd.IntN(2) == 0 {
			runtime.Gosched()
		}
		io.WriteString(c.conn, more)
		if c.heard(id) && c.heard(next) {
			return
		}
		c.dial()
		return
	case way == 6: // and does not wait for the answer
		io.WriteString(c.conn, request)
		if c.rnd.IntN(2) == 0 {
			<-time.After(time.Duration(c.rnd.IntN(10)) * time.Millisecond) // the comet may have it by then
		}
		c.leave()
		return
	case way == 7: // not whole
		io.WriteString(c.conn, request[:c.rnd.IntN(len(request))])
		c.leave()
		return
	default:
		io.WriteString(c.conn, request)
	}
	if !c.heard(id) {
		c.dial()
	}
}

// account compares what the client was told with what has come to the comets.
func (c *faultyClient) account(told map[string]int) {
	for _, id := range c.sent {
		v, n := c.verdict[id], c.ledger.of(id)
		told[v]++
		switch {
		case n > 1:
			c.t.Errorf("%s came to comets %d times (told %q)", id, n, v)
		case v == "ok" && n != 1:
			c.t.Errorf("%s never came to a comet, but was answered", id)
		case v != "ok" && v != "502" && v != "" && n != 0:
			c.t.Errorf("%s came to a comet, but was answered %s", id, v)
		}
	}
}

func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// Clients and comets that do whatever they like: each publish reaches a comet once, or
// not at all, as its client is told; no answer is another client's; and when all have
// gone nothing is left. HALLEY_FAULTS=1m has each part of it last for a minute.
func TestFaultsOnBothSides(t *testing.T) {
	lasts := time.Second
	if s := os.Getenv("HALLEY_FAULTS"); s != "" {
		var err error
		if lasts, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	for name, limits := range map[string]CometLimits{
		"no limits": {},
		"limits":    {MaxConns: 10, MaxHeld: 4, MaxWaiting: 6, MaxQueue: 20},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := quick()
			cfg.Limits.Comet = limits
			cfg.Limits.Redial = 300 * time.Millisecond
			l := &ledger{seen: make(map[string]int)}
			var comets []*faultyComet
			for range 3 {
				c := newFaultyComet(t, l)
				comets = append(comets, c)
				cfg.Comets = append(cfg.Comets, "http://"+c.addr)
			}
			b := run(t, cfg, nil)
			files, goroutines := openFiles(), runtime.NumGoroutine()
			ctx, cancel := context.WithTimeout(t.Context(), lasts)
			defer cancel()
			var wg sync.WaitGroup
			wg.Go(func() { trouble(ctx, t, b, cfg, comets) })
			clients := make([]*faultyClient, testenv.Clients(48))
			for i := range clients {
				c := &faultyClient{
					t: t, addr: b.addr, from: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i+1))}, token: fmt.Sprintf("%s%d", name[:2], i),
					ledger: l, rnd: rand.New(rand.NewPCG(uint64(i), 1)), verdict: make(map[string]string),
				}
				clients[i] = c
				wg.Go(func() {
					for ok := c.dial(); ok && ctx.Err() == nil && !t.Failed(); {
						c.step()
					}
					c.conn.Close()
				})
			}
			wg.Wait()
			told := make(map[string]int)
			for _, c := range clients {
				c.account(told)
			}
			t.Logf("publishes by what their clients were told: %v, in lanes %d", told, b.laned())
			b.settled()
			for _, c := range b.fleet.snapshot().comets {
				c.up.closeIdle()
				b.lanes.interrupt(c.up, false)
			}
			b.until("connections to comets are closed", func() bool {
				for _, c := range b.fleet.snapshot().comets {
					if c.up.conns() > 0 {
						return false
					}
				}
				return true
			})
			for _, c := range comets {
				c.kill()
			}
			b.until(fmt.Sprintf("there are as few descriptors (%d) and goroutines (%d) as before", files, goroutines), func() bool {
				return openFiles() <= files+len(comets) && runtime.NumGoroutine() <= goroutines+4
			})
		})
	}
}

// trouble restarts comets, drains them, and has the balancer reload, until ctx ends.
func trouble(ctx context.Context, t *testing.T, b *running, cfg Config, comets []*faultyComet) {
	list, most := cfg.Comets, cfg.Limits.Comet
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		n := rand.IntN(len(comets))
		switch i % 8 {
		case 0:
			comets[n].kill()
			if err := comets[n].start(); err != nil {
				t.Errorf("restart: %v", err)
			}
		case 2:
			_ = b.Drain(b.fleet.snapshot().comets[0].name, n == 0) // it may be the only one
		case 4:
			for _, c := range b.Comets() {
				_ = b.Undrain(c.Name) // it may not drain
			}
		case 6:
			cfg.Comets = slices.Delete(slices.Clone(list), n, n+1)
			cfg.Limits.Comet = CometLimits{MaxConns: 4 + n, MaxHeld: 2 + n, MaxWaiting: 3, MaxQueue: 5}
			cfg.Limits.MaxIdle, cfg.DrainTime = n, 200*time.Millisecond
			fallthrough
		case 7:
			if i%8 == 7 {
				cfg.Comets, cfg.Limits.Comet, cfg.Limits.MaxIdle = list, most, DefaultLimits().MaxIdle
			}
			if _, restart, err := b.Reload(cfg); err != nil || len(restart) > 0 {
				t.Errorf("reload: %v, %v", restart, err)
			}
		}
	}
	cfg.Comets, cfg.Limits.Comet = list, most
	if _, _, err := b.Reload(cfg); err != nil {
		t.Error(err)
	}
}

// settled waits until nothing is under way.
func (r *running) settled() {
	r.t.Helper()
	r.until("no client is left", func() bool {
		r.door.mu.Lock()
		defer r.door.mu.Unlock()
		return r.door.open == 0 && len(r.door.byIP) == 0 && r.lanes.len() == 0 && r.clients.len() == 0
	})
	r.until("nothing is under way", func() bool {
		for _, c := range r.fleet.snapshot().comets {
			g := c.limits
			if c.load.busy.Load() != 0 || c.load.held.Load() != 0 || g.conns.Load() != 0 || g.waiters.Load() != 0 {
				return false
			}
			for u := range g.inUse {
				if g.inUse[u].Load() != 0 || g.queued[u].Load() != 0 {
					return false
				}
			}
		}
		return r.scrape("requests_in_flight") == 0
	})
}
