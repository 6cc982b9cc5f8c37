package comet

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/halleycomet/halley/internal/park"
	"github.com/halleycomet/halley/internal/testenv"
)

// Messages, timers, newer connects and other requests come in the very moments in
// which connects are parked, answered and given back: each client gets all messages,
// once and in order.
func TestParkingUnderFire(t *testing.T) {
	f := startTCP(t, func(c *Config) { c.SweepPeriod = 3 * time.Millisecond })
	publisher := f.connected()
	last := testenv.Clients(400)
	stop := make(chan struct{})
	var clients, publishing sync.WaitGroup
	for range 8 {
		id := f.connected("/b")
		clients.Go(func() { f.pollUntil(t, id, last) })
	}
	publishing.Go(func() {
		for i := 1; i <= last; i++ {
			publish(f, publisher, "/b", i)
			select {
			case <-stop:
				return
			case <-time.After(rand.N(3 * park.After)):
			}
		}
	})
	clients.Wait()
	close(stop)
	publishing.Wait()
	f.waitParked(0)
}

// pollUntil polls on two connections until the message last has come.
func (f *fixture) pollUntil(t *testing.T, id string, last int) {
	seen := 0
	heard := func(messages []int) {
		for _, m := range messages {
			if m != seen+1 {
				t.Errorf("%d after %d", m, seen)
			}
			seen = m
		}
	}
	answer := func(r *bufio.Reader) string {
		var resp fasthttp.Response
		if err := resp.Read(r); err != nil {
			t.Errorf("after %d: %v", seen, err)
		}
		return string(resp.Body())
	}
	a, ar := f.raw()
	b, br := f.raw()
	for seen < last && !t.Failed() {
		a.SetDeadline(time.Now().Add(patience))
		b.SetDeadline(time.Now().Add(patience))
		connect := fmt.Sprintf(`[{"channel":"/meta/connect","clientId":%q,"id":"9","advice":{"timeout":%d}}]`, id, 1+rand.IntN(20))
		behind := rand.IntN(4) == 0
		text := post("", connect)
		if behind {
			text += post("", `[]`)
		}
		if _, err := io.WriteString(a, text); err != nil {
			t.Error(err)
			return
		}
		if rand.IntN(3) == 0 {
			<-time.After(rand.N(2 * park.After))
			// A newer connect, which comes before the older one is answered or after.
			io.WriteString(b, post("", strings.Replace(connect, `"id":"9"`, `"id":"10"`, 1)))
			newer := make(chan string, 1)
			go func() { newer <- answer(br) }()
			// Which of them is the newer one for the comet is open, after all.
			one, other := carried(t, answer(ar)), carried(t, <-newer)
			if len(one) > 0 && len(other) > 0 && other[0] < one[0] {
				one, other = other, one
			}
			heard(one)
			heard(other)
		} else {
			heard(carried(t, answer(ar)))
		}
		if behind {
			if body := answer(ar); body != "[]" {
				t.Errorf("behind: %s", body)
			}
		}
		if rand.IntN(3) == 0 {
			<-time.After(rand.N(2 * park.After))
		}
	}
}

// carried are the messages in an answer; the empty one is that to a connect that was
// replaced.
func carried(t *testing.T, body string) (data []int) {
	if body == "" {
		return nil
	}
	var messages []struct {
		Channel string
		Data    int
	}
	if err := json.Unmarshal([]byte(body), &messages); err != nil {
		t.Errorf("%s: %v", body, err)
	}
	for _, m := range messages {
		if m.Channel == "/b" {
			data = append(data, m.Data)
		}
	}
	return data
}

// Clients that hang up in the very moments in which their connects are parked or
// answered lose at most what one answer carried, and leave nothing behind.
func TestHangupsUnderFire(t *testing.T) {
	f := startTCP(t, nil)
	f.waitRunning()
	publisher := f.connected()
	var clients sync.WaitGroup
	for range 8 {
		id := f.connected("/b")
		clients.Go(func() {
			for range testenv.Clients(80) {
				conn, err := f.dial()
				if err != nil {
					t.Error(err)
					return
				}
				io.WriteString(conn, post("", strings.ReplaceAll(connectBody, "%", id)))
				<-time.After(rand.N(2 * park.After))
				if rand.IntN(2) == 0 {
					conn.(*net.TCPConn).SetLinger(0)
				}
				conn.Close()
				if rand.IntN(3) == 0 {
					publish(f, publisher, "/b", 1)
				}
			}
		})
	}
	clients.Wait()
	f.client.CloseIdleConnections()
	// The last requests may not have been read yet, so both are waited for; a connect that
	// is held for nobody stays for longer than that.
	eventually(t, "nothing left, and no connect held for nobody", func() bool {
		for _, s := range f.sessions.all() {
			if s.heldNow() != nil {
				return false
			}
		}
		n := f.lot.Counts()
		return n.Busy == 0 && n.Resting == 0
	})
}
