package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halleycomet/halley/e2e/internal/cloud"
	"github.com/halleycomet/halley/e2e/internal/proc"
	"github.com/halleycomet/halley/e2e/internal/wire"
	"github.com/halleycomet/halley/internal/testenv"
)

// herd is many long-polling clients, as lean as can be: a connection, and a goroutine
// that does what the replies advise.
type herd struct {
	addr string
	quit chan struct{}
	wg   sync.WaitGroup

	polling  atomic.Int64 // clients that have a session and have sent a connect
	sessions atomic.Int64 // successful handshakes
	refused  atomic.Int64 // handshakes that were told to come later

	mu   sync.Mutex
	errs []error // guarded by mu
}

// member is one client of the herd.
type member struct {
	herd     *herd
	conn     net.Conn
	in       *bufio.Reader
	clientID string
	cookie   string
}

func startHerd(t *testing.T, addr string, n int) *herd {
	t.Helper()
	h := &herd{addr: addr, quit: make(chan struct{})}
	conns := make([]net.Conn, n)
	for i := range conns {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 50, byte(1+i%200))}, Timeout: proc.Patience}
		conn, err := d.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = conn
		m := &member{herd: h, conn: conn, in: bufio.NewReaderSize(conn, 2048)}
		h.wg.Go(func() {
			if err := m.live(); err != nil {
				select {
				case <-h.quit:
				default:
					h.mu.Lock()
					h.errs = append(h.errs, err)
					h.mu.Unlock()
				}
			}
		})
	}
	t.Cleanup(func() {
		close(h.quit)
		for _, c := range conns {
			c.Close()
		}
		h.wg.Wait()
	})
	return h
}

// failed is what went wrong with some of the clients.
func (h *herd) failed() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.errs) == 0 {
		return nil
	}
	return fmt.Errorf("%d of the clients failed, the first of them: %w", len(h.errs), h.errs[0])
}

// live handshakes and connects, for ever, as the advice says.
func (m *member) live() error {
	for {
		text := `[{"id":"1","channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]`
		if m.clientID != "" {
			text = fmt.Sprintf(`[{"id":"2","channel":"/meta/connect","clientId":%q,"connectionType":"long-polling"}]`, m.clientID)
		}
		if m.clientID != "" {
			m.herd.polling.Add(1)
		}
		reply, err := m.ask(text)
		if m.clientID != "" {
			m.herd.polling.Add(-1)
		}
		switch {
		case err != nil:
			return err
		case m.clientID == "" && reply.Successful:
			m.clientID = reply.ClientID
			m.herd.sessions.Add(1)
		case m.clientID == "":
			m.herd.refused.Add(1)
		case reply.Advice != nil && reply.Advice.Reconnect == "handshake":
			m.clientID = ""
		case !reply.Successful:
			return fmt.Errorf("connect: %s", reply.Error)
		}
		if reply.Advice == nil || reply.Advice.Interval == nil || *reply.Advice.Interval == 0 {
			continue
		}
		select {
		case <-m.herd.quit:
			return nil
		case <-time.After(time.Duration(*reply.Advice.Interval) * time.Millisecond):
		}
	}
}

func (m *member) ask(body string) (wire.Message, error) {
	cookie := ""
	if m.cookie != "" {
		cookie = "Cookie: " + m.cookie + "\r\n"
	}
	if _, err := fmt.Fprintf(m.conn, "POST %s HTTP/1.1\r\nHost: herd\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		cloud.Path, cookie, len(body), body); err != nil {
		return wire.Message{}, err
	}
	res, err := http.ReadResponse(m.in, nil)
	if err != nil {
		return wire.Message{}, err
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return wire.Message{}, err
	}
	if res.StatusCode != http.StatusOK {
		return wire.Message{}, fmt.Errorf("status %d: %.200q", res.StatusCode, text)
	}
	for _, c := range res.Cookies() {
		m.cookie = c.Name + "=" + c.Value
	}
	all, err := wire.Parse(bytes.TrimSpace(text))
	if err != nil || len(all) == 0 {
		return wire.Message{}, errors.Join(err, fmt.Errorf("answered %.200q", text))
	}
	return all[len(all)-1], nil
}

// The clients of a comet that is killed, all of them at once, come back no faster than
// the configured pace, not much slower either, and none of them fails.
func TestHerdComesBackAtItsPace(t *testing.T) {
	n, rate := testenv.Clients(9000), 1500
	c := cloud.New(t)
	first := c.Comet("comet-1")
	b := c.Balancer("balancer", "--handshake-rate", fmt.Sprint(rate))
	b.Covers(first)
	herd := startHerd(t, b.Listen, n)
	allPoll := func() error {
		if err := herd.failed(); err != nil {
			t.Fatal(err)
		}
		if p := herd.polling.Load(); p != int64(n) {
			return fmt.Errorf("%d of %d poll", p, n)
		}
		return nil
	}
	proc.Until(t, time.Minute, "all clients poll", allPoll)
	second := c.Comet("comet-2")
	c.Linked(first, second)
	b.Covers(first, second)
	before, sessions := second.Handshakes(), herd.sessions.Load()

	killed := time.Now()
	first.Kill()
	fastest := pace(t, second, before, n)
	proc.Until(t, time.Minute, "all clients poll again", allPoll)
	took := time.Since(killed)
	t.Logf("%d clients were back after %v, at most %.0f in a second; %d were told to come later",
		n, took.Round(10*time.Millisecond), fastest, herd.refused.Load())
	if made := herd.sessions.Load() - sessions; made != int64(n) {
		t.Errorf("%d handshakes by %d clients", made, n)
	}
	if limit := 1.5 * float64(rate); fastest > limit {
		t.Errorf("%.0f handshakes in a second, at most %.0f were to be", fastest, limit)
	}
	ideal := time.Duration(n) * time.Second / time.Duration(rate)
	if limit := 2*ideal + testenv.Bound(5*time.Second); took > limit {
		t.Errorf("the last was back after %v, want %v", took, limit)
	}
}

// pace watches a comet until it has had n handshakes, and returns the most that it had
// in any second.
func pace(t *testing.T, m *cloud.Comet, before float64, n int) (most float64) {
	t.Helper()
	type sample struct {
		at    time.Time
		count float64
	}
	samples := []sample{{time.Now(), before}}
	proc.Until(t, 2*time.Minute, "all handshakes", func() error {
		s := sample{time.Now(), m.Handshakes()}
		samples = append(samples, s)
		for len(samples) > 2 && s.at.Sub(samples[1].at) >= time.Second {
			samples = samples[1:]
		}
		if span := s.at.Sub(samples[0].at); span >= time.Second {
			most = max(most, (s.count-samples[0].count)/span.Seconds())
		}
		if s.count-before < float64(n) {
			return fmt.Errorf("%v of %d", s.count-before, n)
		}
		return nil
	})
	return most
}
