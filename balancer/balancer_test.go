package balancer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halleycomet/halley/internal/testenv"
	"github.com/prometheus/client_golang/prometheus"
)

func TestNewNamesEveryMistake(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Path, cfg.Limits.MaxBody, cfg.Limits.Redial, cfg.Limits.RetryMax = "cometd", 0, -1, time.Second
	_, err := New(cfg, nil)
	for _, name := range []string{"path", "max-body", "redial", "retry-max"} {
		if err == nil || !strings.Contains(err.Error(), name+": ") {
			t.Errorf("%s is not named in: %v", name, err)
		}
	}
	if _, err := New(DefaultConfig(), nil); err == nil || !strings.Contains(err.Error(), "comets") {
		t.Errorf("no comets and no gossip: %v", err)
	}
}

func TestCollectors(t *testing.T) {
	a := newFakeComet(t, "a", ok)
	b := listing(t, quick(), a)
	reg := prometheus.NewRegistry()
	reg.MustRegister(b.Collectors()...)
	b.post(publish("1", "x"))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	for _, want := range []string{"halley_balancer_requests_total", "halley_balancer_comets", "halley_balancer_tunnels"} {
		if !strings.Contains(strings.Join(names, " "), want) {
			t.Errorf("%s is not among %v", want, names)
		}
	}
	if got := b.Comets(); len(got) != 1 || got[0].State != "healthy" {
		t.Errorf("%+v", got)
	}
}

// A balancer that stops lets the held polls go in a way that keeps their sessions,
// lets the rest end, and is done at once.
func TestStopBound(t *testing.T) {
	var held, slow atomic.Int32
	release := make(chan struct{})
	a := newFakeComet(t, "a", nil)
	a.serve(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case strings.Contains(string(body), "/meta/connect"):
			held.Add(1)
			select { // a comet learns that its poll is gone
			case <-r.Context().Done():
				held.Add(-1)
			case <-a.dead:
			}
		default:
			slow.Add(1)
			<-release
			io.WriteString(w, `[{"id":"p","channel":"/chat","successful":true}]`)
		}
	})
	b := run(t, quick(), gossipOf(a))
	const polls = 10
	replies := make([]reply, polls)
	var published reply
	var wg sync.WaitGroup
	for i := range polls {
		wg.Go(func() { replies[i] = b.post(connect(fmt.Sprint(i), a.clientID())).one(t) })
	}
	wg.Go(func() { published = b.post(publish("p", a.clientID())).one(t) })
	idle, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	b.until("all are under way", func() bool {
		return held.Load() == polls && slow.Load() == 1 && b.clients.len()+b.lanes.len() == polls+2
	})

	began := time.Now()
	stopped := make(chan struct{})
	go func() { b.stop(); close(stopped) }()
	b.until("the polls are let go", func() bool { return held.Load() == 0 })
	close(release)
	wg.Wait()
	<-stopped
	if took := time.Since(began); took > testenv.Bound(time.Second) {
		t.Errorf("the stop took %v", took)
	}
	for i, r := range replies {
		if r.ID != fmt.Sprint(i) || r.failed() || r.Advice == nil || r.Advice.Reconnect != "retry" || *r.Advice.Interval > 500 {
			t.Errorf("%+v", r)
		}
	}
	if published.failed() {
		t.Errorf("the publish: %+v", published)
	}
	if _, err := net.Dial("tcp", b.addr); err == nil {
		t.Error("it still accepts connections")
	}
	if n := b.comet(a).up.conns(); n != 0 {
		t.Errorf("%d connections to the comet are left", n)
	}
}

// An answer to a poll that was on its way when the balancer lets the poll go is passed
// on: the comet has nothing of it any more.
func TestStopTakesWhatIsOnItsWay(t *testing.T) {
	for _, way := range []string{"lanes", "handler"} {
		t.Run(way, func(t *testing.T) {
			var held atomic.Int32
			a := newFakeComet(t, "a", nil)
			a.serve(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.ReadAll(r.Body)
				held.Add(1)
				<-r.Context().Done() // as late as can be
				io.WriteString(w, `[{"channel":"/news","data":"queued"},{"id":"1","channel":"/meta/connect","successful":true}]`)
			})
			b, err := New(quick(), gossipOf(a))
			if err != nil {
				t.Fatal(err)
			}
			if way == "handler" {
				b.lanes = nil
			} else if b.lanes == nil {
				t.Skip("skipped: there are no lanes")
			}
			r := start(t, b)
			r.until("ready", b.Ready)
			got := make(chan *answer, 1)
			go func() { got <- r.post(connect("1", a.clientID())) }()
			r.until("the poll is held", func() bool { return held.Load() == 1 })
			go r.stop()
			if a := <-got; !strings.Contains(a.body, "queued") {
				t.Errorf("lost: %s", a.body)
			}
			r.until("no connection to the comet is kept", func() bool { return r.comet(a).up.conns() == 0 })
		})
	}
}

// A request that does not end is cut off when the balancer stops.
func TestStopDoesNotWaitForever(t *testing.T) {
	var slow atomic.Int32
	a := newFakeComet(t, "a", nil)
	a.serve(func(w http.ResponseWriter, r *http.Request) { slow.Add(1); <-a.dead })
	cfg := quick()
	cfg.StopTime = 100 * time.Millisecond
	b := listing(t, cfg, a)
	done := make(chan error)
	go func() {
		_, err := b.do(http.MethodPost, "/cometd", publish("p", "x"))
		done <- err
	}()
	b.until("it is under way", func() bool { return slow.Load() == 1 })
	b.stop()
	<-done
	if n := b.clients.len(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

// An answer that is passed on as it comes, from a comet that says nothing more, is
// cut off too, and nobody is left who waits for the rest.
func TestStopCutsStreams(t *testing.T) {
	for _, version := range []string{"1.1", "1.0"} {
		ended := make(chan struct{})
		a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "begun")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			close(ended)
		})
		cfg := quick()
		cfg.StopTime = 100 * time.Millisecond
		b := listing(t, cfg, a)
		conn := b.connection()
		fmt.Fprintf(conn, "GET /events HTTP/%s\r\nHost: h\r\n\r\n", version)
		got := ""
		for buf := make([]byte, 1024); !strings.Contains(got, "begun"); {
			n, err := conn.Read(buf)
			if got += string(buf[:n]); err != nil {
				t.Fatalf("%v after %q", err, got)
			}
		}
		b.stop()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatalf("HTTP/%s: the comet still has its connection", version)
		}
		b.until("its goroutine has ended", func() bool { return b.comet(a).up.conns() == 0 })
	}
}

func TestServeEndsWithItsListener(t *testing.T) {
	b, err := New(func() Config { c := quick(); c.Comets = []string{"http://127.0.0.1:1"}; return c }(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- b.Serve(context.Background(), ln) }()
	ln.Close()
	if err := <-done; err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A handler that panics costs its request, not the process.
func TestPanic(t *testing.T) {
	b := listing(t, quick(), newFakeComet(t, "a", ok), newFakeComet(t, "b", ok))
	b.fleet.options.choose = nil // calling it panics
	if got := b.post(handshake); got.status != http.StatusInternalServerError || !strings.Contains(got.header.Get("Content-Type"), "text/plain") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := b.post(publish("1", "x")); got.one(t).failed() {
		t.Errorf("afterwards: %s", got.body)
	}
}

// Who is busy on a connection of his own is not cut off between two requests when the
// balancer stops: the answer to the next one says that the connection ends.
func TestStopSaysSo(t *testing.T) {
	a := newFakeComet(t, "a", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `[{"id":"p","channel":"/chat","successful":true}]`)
	})
	b := listing(t, quick(), a)
	const conns = 20
	var answered, cut atomic.Int32
	var wg sync.WaitGroup
	for range conns {
		conn := b.connection()
		wg.Go(func() {
			in := bufio.NewReader(conn)
			for {
				body := publish("p", "x")
				fmt.Fprintf(conn, "POST /cometd HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				res, err := http.ReadResponse(in, nil)
				if err != nil {
					cut.Add(1)
					return
				}
				io.Copy(io.Discard, res.Body)
				if answered.Add(1); res.Close {
					return
				}
			}
		})
	}
	b.until("all are at work", func() bool { return answered.Load() > 10*conns })
	b.stop()
	wg.Wait()
	if n := cut.Load(); n > conns/4 { // those that paused for a moment may be
		t.Errorf("%d of %d busy connections were cut off between two requests", n, conns)
	}
}
