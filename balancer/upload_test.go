package balancer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A comet that has the whole body and does not answer has the time of any other.
func TestSilenceAfterUpload(t *testing.T) {
	release := make(chan struct{})
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-release
	})
	t.Cleanup(func() { close(release) })
	cfg := quick()
	cfg.CheckInterval = time.Hour
	cfg.Limits.UpstreamTimeout = 50 * time.Millisecond
	b := listing(t, cfg, a)
	c := talkTo(b, -1)
	io.WriteString(c.body, "hello")
	c.end()
	if resp := c.answer(); resp.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("%s", resp.Status)
	}
}

// A comet that goes down while it reads a body sets its client free, and one that
// takes nothing of a body is given up.
func TestUploadToLostComet(t *testing.T) {
	for _, how := range []string{"down", "stuck"} {
		t.Run(how, func(t *testing.T) {
			var reading atomic.Bool
			a := newFakeComet(t, "a", nil)
			a.serve(func(w http.ResponseWriter, r *http.Request) { reading.Store(true); <-a.dead })
			cfg := quick()
			cfg.CheckInterval, cfg.RecheckInterval = time.Hour, time.Hour
			if how == "stuck" {
				cfg.Limits.UpstreamTimeout = 100 * time.Millisecond
			}
			b := listing(t, cfg, a)
			c := talkTo(b, -1)
			go io.Copy(c.body, &pattern{})
			b.until("it is under way", reading.Load)
			if how == "down" {
				b.fleet.unreachable(b.comet(a), timeoutError{})
			}
			if resp := c.answer(); resp.StatusCode != http.StatusBadGateway || !resp.Close {
				t.Errorf("%s, close %v", resp.Status, resp.Close)
			}
			b.until("the connection has ended", func() bool { return b.comet(a).up.conns() == 0 })
		})
	}
}

// A short body is there before the request is sent on: it goes by an idle connection
// like any other request, and is sent again when that turned out to be closed.
func TestShortBodiesAreCheap(t *testing.T) {
	var mu sync.Mutex
	peers := map[string]int{}
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		peers[r.RemoteAddr]++
		mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	})
	cfg := quick()
	cfg.CheckInterval = time.Hour
	b := listing(t, cfg, a)
	for range 5 {
		want := strings.Repeat("x", wholeBody)
		if got, err := b.do(http.MethodPost, "/form", want); err != nil || got.body != want {
			t.Fatalf("%v %+v", err, got)
		}
	}
	if len(peers) != 1 {
		t.Errorf("the comet saw the connections %v", peers)
	}
}

// An upload that is over when its answer comes costs nobody his connection.
func TestUploadKeepsConnection(t *testing.T) {
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "thanks")
	})
	b := listing(t, quick(), a)
	for name, length := range framings {
		b.until(name, func() bool { // one try may be unlucky
			const size = 100 << 10
			c := talkTo(b, length(size))
			defer c.Close()
			io.CopyN(c.body, &pattern{}, size)
			c.end()
			resp := c.answer()
			got, err := io.ReadAll(resp.Body)
			if err != nil || string(got) != "thanks" {
				t.Fatalf("%q %v", got, err)
			}
			if resp.Close {
				return false
			}
			fmt.Fprint(c, "GET /more HTTP/1.1\r\nHost: h\r\n\r\n")
			if resp := c.answer(); resp.StatusCode != http.StatusOK {
				t.Fatal(resp.Status)
			}
			return true
		})
	}
}

// An upload to a client's own pace and a broken one at once: nothing of it is sent
// twice.
func TestUploadIsNotSentTwice(t *testing.T) {
	var tries atomic.Int32
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		tries.Add(1)
		io.ReadFull(r.Body, make([]byte, 10))
		conn, _ := hijack(w)
		reset(conn)
	})
	b := listing(t, quick(), a)
	c := talkTo(b, -1)
	io.WriteString(c.body, "0123456789")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != http.StatusBadGateway || tries.Load() != 1 {
		t.Errorf("%v %+v after %d tries", err, resp, tries.Load())
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && err == nil {
		t.Errorf("the connection goes on: %v", err)
	}
}
