package balancer

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// When the balancer stops, connections between two requests end, those on which nothing
// came yet have a moment for it, and what is answered ends with its answer, which says
// so. What comes later is hung up on.
func TestLanesRelease(t *testing.T) {
	needsLanes(t)
	came, answer := make(chan struct{}), make(chan struct{})
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "slow") {
			close(came)
			<-answer
		}
		io.WriteString(w, "[]")
	})
	b := listing(t, quick(), a)
	connected := func() (*net.TCPConn, *bufio.Reader) {
		conn := b.connection()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		return conn, bufio.NewReader(conn)
	}
	last := func(what string, br *bufio.Reader) {
		t.Helper()
		if res, body := httpAnswer(t, br); res.StatusCode != 200 || body != "[]" || !res.Close {
			t.Errorf("%s: answered %d %q, which says the end: %v", what, res.StatusCode, body, res.Close)
		}
		if _, err := br.ReadByte(); err != io.EOF {
			t.Errorf("%s: the connection does not end: %v", what, err)
		}
	}
	slow, ofSlow := connected()
	postRaw(t, slow, publish("slow", "x"))
	<-came
	rests, ofRests := connected()
	postRaw(t, rests, publish("1", "x"))
	httpAnswer(t, ofRests)
	silent, ofSilent := connected()
	b.until("all are in the lanes", func() bool {
		n := 0
		b.inLanes(func(l *lane) {
			for c := l.first; c != nil; c = c.next {
				n++
			}
		})
		return n == 3
	})
	b.lanes.release()
	b.inLanes(func(*lane) {})
	if _, err := ofRests.ReadByte(); err != io.EOF {
		t.Errorf("a connection that rests: %v", err)
	}
	postRaw(t, silent, publish("2", "x"))
	last("who said nothing yet", ofSilent)
	_, late := connected()
	if _, err := late.ReadByte(); err != io.EOF {
		t.Errorf("a connection that comes later: %v", err)
	}
	close(answer)
	last("who was waiting", ofSlow)
	b.until("none is left", func() bool {
		b.door.mu.Lock()
		defer b.door.mu.Unlock()
		return b.lanes.len() == 0 && b.door.open == 0
	})
}

// Who hangs up while he waits has a moment for his answer, counted from his request.
func TestLaneGivesAMoment(t *testing.T) {
	needsLanes(t)
	answer := make(chan struct{}, 1)
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		select {
		case <-answer:
			io.WriteString(w, "[]")
		case <-r.Context().Done():
		}
	})
	b := listing(t, quick(), a)
	for _, c := range []struct {
		waited time.Duration
		want   clientState
	}{{0, clientWaits}, {moment, clientLeft}} {
		conn := b.connection()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		postRaw(t, conn, publish("1", "x"))
		b.untilLane("it waits", func(c *laneClient) bool { return c.state == clientWaits })
		b.inLanes(func(l *lane) {
			one := l.first
			if one == nil {
				return
			}
			one.began = l.loop.Now().Add(-c.waited)
			one.hungUp()
			if one.state != c.want {
				t.Errorf("after %v: %v, want %v", c.waited, one.state, c.want)
			}
			one.sock.ClearTimeout() // the moment does not end
		})
		if c.want == clientLeft {
			continue
		}
		answer <- struct{}{}
		if _, body := httpAnswer(t, bufio.NewReader(conn)); body != "[]" {
			t.Errorf("answered %q", body)
		}
		conn.Close()
		b.until("it is gone", func() bool { return b.lanes.len() == 0 })
	}
}

// A connection that rests keeps a small buffer for its next request, and no large one.
func TestLaneKeepsSmallBuffers(t *testing.T) {
	needsLanes(t)
	b := listing(t, quick(), newFakeComet(t, "a", ok))
	conn := b.connection()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	br := bufio.NewReader(conn)
	for _, size := range []int{1, keptBuffer} {
		postRaw(t, conn, fmt.Sprintf(`[{"channel":"/a","data":%q}]`, strings.Repeat("x", size)))
		httpAnswer(t, br)
		b.inLanes(func(l *lane) {
			if c := l.first; c != nil && (len(c.request) > 0 || cap(c.request) > keptBuffer || (cap(c.request) > 0) != (size == 1)) {
				t.Errorf("after a message of %d bytes it keeps %d of %d", size, len(c.request), cap(c.request))
			}
		})
	}
	if b.laned() != 2 {
		t.Errorf("%d by the lane", b.laned())
	}
}

// A comet that is down, and answers what it had begun to, is checked at once.
func TestLaneAnswerOfWhoIsDown(t *testing.T) {
	needsLanes(t)
	rest := make(chan struct{})
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "2")
		io.WriteString(w, "[")
		w.(http.Flusher).Flush()
		<-rest
		io.WriteString(w, "]")
	})
	cfg := quick()
	cfg.CheckInterval, cfg.RecheckInterval = time.Hour, time.Hour
	b := listing(t, cfg, a)
	conn := b.connection()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	postRaw(t, conn, publish("1", "x"))
	b.untilLane("the answer has begun", func(c *laneClient) bool { return c.wire != nil && c.wire.state == wireAnswers })
	var ill atomic.Bool
	ill.Store(true)
	a.unwell(&ill)
	b.until("it is down, and a check has failed", func() bool {
		b.fleet.refused(b.comet(a)) // it may still be well by a check of before
		return b.comet(a).is(Down) && b.fleet.status()[0].CheckError != ""
	})
	ill.Store(false)
	close(rest)
	if res, body := httpAnswer(t, bufio.NewReader(conn)); res.StatusCode != 200 || body != "[]" {
		t.Errorf("answered %d %q", res.StatusCode, body)
	}
	b.untilState(a, Healthy)
}
