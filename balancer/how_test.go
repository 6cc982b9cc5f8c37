package balancer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halleycomet/halley/cluster"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Balancers with real sockets in front of comets that a test writes.

// fixed is a membership that does not change by itself.
type fixed struct {
	views chan *cluster.View
	view  atomic.Pointer[cluster.View]
	done  chan struct{}
}

func gossipOf(comets ...*fakeComet) *fixed {
	f := &fixed{views: make(chan *cluster.View, 8), done: make(chan struct{})}
	close(f.done)
	f.set(comets...)
	return f
}

func (f *fixed) set(comets ...*fakeComet) {
	v := &cluster.View{}
	for _, c := range comets {
		v.Nodes = append(v.Nodes, c.node())
	}
	f.view.Store(v)
	f.views <- v
}

func (f *fixed) View() *cluster.View { return f.view.Load() }

func (f *fixed) Watch(context.Context) <-chan *cluster.View { return f.views }

func (f *fixed) Synced() <-chan struct{} { return f.done }

// running is a balancer under test.
type running struct {
	*Balancer
	t    *testing.T
	addr string
	url  string
	stop func()
}

// quick is a configuration for tests.
func quick() Config {
	cfg := DefaultConfig()
	cfg.CheckInterval, cfg.RecheckInterval = 200*time.Millisecond, 20*time.Millisecond
	cfg.Limits.Hold = 0
	cfg.RequestIDHeader = "" // the same request is the same bytes
	return cfg
}

// liveOf is a configuration in force.
func liveOf(t *testing.T, cfg Config) *live {
	t.Helper()
	l, err := newLive(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// run starts a balancer and waits until it is ready.
func run(t *testing.T, cfg Config, members Members) *running {
	t.Helper()
	b, err := New(cfg, members)
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, b)
	r.until("ready", b.Ready)
	if b.lanes != nil && runtime.GOOS == "linux" { // before its loop runs, a lane leaves connections to the server
		for _, l := range b.lanes.all {
			r.until("the loops run", func() bool { return l.loop.Post(func() {}) })
		}
	}
	return r
}

func start(t *testing.T, b *Balancer) *running {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { b.Run(ctx) })
	wg.Go(func() { b.Serve(ctx, ln) })
	r := &running{Balancer: b, t: t, addr: ln.Addr().String(), url: "http://" + ln.Addr().String()}
	r.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(r.stop)
	return r
}

// listing is run in front of comets of a list.
func listing(t *testing.T, cfg Config, comets ...*fakeComet) *running {
	t.Helper()
	for _, c := range comets {
		cfg.Comets = append(cfg.Comets, c.url())
	}
	return run(t, cfg, nil)
}

// until waits for a condition that another goroutine brings about.
func (r *running) until(what string, cond func() bool) {
	r.t.Helper()
	until(r.t, what, cond)
}

func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// comet is the balancer's view of a fake comet.
func (r *running) comet(c *fakeComet) *comet {
	r.t.Helper()
	for _, have := range r.fleet.snapshot().comets {
		if have.Addr == c.addr {
			return have
		}
	}
	r.t.Fatalf("the balancer does not know %s", c.addr)
	return nil
}

func (r *running) untilState(c *fakeComet, s State) {
	r.t.Helper()
	r.until(fmt.Sprintf("%s is %v", c.name, s), func() bool { return r.comet(c).is(s) })
}

// reply is one reply as a client reads it.
type reply struct {
	ID, Channel, Error, ClientID string
	Successful                   *bool
	Data                         json.RawMessage
	Advice                       *struct {
		Reconnect         string
		Interval, Timeout *int
	}
}

// answer is what a client got.
type answer struct {
	status  int
	header  http.Header
	body    string
	replies []reply
}

var testClient = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       30 * time.Second,
}

func closeTestClient() { testClient.CloseIdleConnections() }

// do sends a request; headers are "Name: value".
func (r *running) do(method, path, body string, headers ...string) (*answer, error) {
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header.Set(name, value)
	}
	resp, err := testClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	a := &answer{status: resp.StatusCode, header: resp.Header, body: string(got)}
	json.Unmarshal(got, &a.replies)
	return a, nil
}

func (r *running) post(body string, headers ...string) *answer {
	r.t.Helper()
	a, err := r.do(http.MethodPost, "/cometd", body, headers...)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

func (r *running) get(path string, headers ...string) *answer {
	r.t.Helper()
	a, err := r.do(http.MethodGet, path, "", headers...)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

// one is the only reply of a Bayeux answer with status 200.
func (a *answer) one(t *testing.T) reply {
	t.Helper()
	if a.status != http.StatusOK || len(a.replies) != 1 {
		t.Fatalf("status %d, body %q: not one reply", a.status, a.body)
	}
	return a.replies[0]
}

func (r reply) failed() bool { return r.Successful != nil && !*r.Successful }

// count is the value of a counter or gauge.
func count(t *testing.T, c prometheus.Collector) float64 {
	t.Helper()
	ch := make(chan prometheus.Metric, 1)
	c.Collect(ch)
	var d dto.Metric
	if err := (<-ch).Write(&d); err != nil {
		t.Fatal(err)
	}
	return d.GetCounter().GetValue() + d.GetGauge().GetValue()
}

func connect(id, clientID string) string {
	return fmt.Sprintf(`[{"id":%q,"channel":"/meta/connect","clientId":%q,"connectionType":"long-polling"}]`, id, clientID)
}

func publish(id, clientID string) string {
	return fmt.Sprintf(`[{"id":%q,"channel":"/chat","clientId":%q,"data":"x"}]`, id, clientID)
}

const handshake = `[{"id":"1","channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]`
