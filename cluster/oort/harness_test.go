package oort_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/bayeux/client"
	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/cluster/oort"
	"github.com/halleycomet/halley/comet"
)

// confirmTimeout is so long that whoever runs into it has failed.
const confirmTimeout = 10 * time.Second

// node is a comet with its cloud, on loopback.
type node struct {
	t      *testing.T
	url    string
	addr   string
	scheme string
	trust  *tls.Config // as its links have it
	comet  *comet.Server
	cloud  *oort.Cloud
	stop   func() // in order: goodbye, then the comet
}

// plan says how a node differs from the others.
type plan struct {
	addr    string // where to listen; default: any port
	url     string // what the others dial; default: where it listens
	members oort.Members
	tls     *tls.Config // of the listener; nil: no TLS
	change  func(*oort.Config)
}

func start(t *testing.T, p plan) *node {
	t.Helper()
	if p.addr == "" {
		p.addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp4", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, addr: ln.Addr().String(), scheme: "http"}
	if p.tls != nil {
		n.scheme = "https"
		ln = tls.NewListener(ln, p.tls)
	}
	if n.url = p.url; n.url == "" {
		n.url = n.scheme + "://" + n.addr + "/cometd"
	}
	ccfg := comet.DefaultConfig()
	ccfg.Name = n.addr
	if n.comet, err = comet.New(ccfg); err != nil {
		t.Fatal(err)
	}
	cfg := oort.DefaultConfig()
	cfg.URL, cfg.Secret = n.url, "secret"
	cfg.MinBackoff, cfg.MaxBackoff = 10*time.Millisecond, 100*time.Millisecond
	cfg.JoinRetry = 50 * time.Millisecond
	cfg.ConfirmTimeout = confirmTimeout
	if p.change != nil {
		p.change(&cfg)
	}
	n.trust = cfg.TLS
	if n.cloud, err = oort.New(cfg, p.members, n.comet); err != nil {
		t.Fatal(err)
	}
	n.comet.SetCloud(n.cloud)

	cometCtx, stopComet := context.WithCancel(context.WithoutCancel(t.Context()))
	cloudCtx, stopCloud := context.WithCancel(context.WithoutCancel(t.Context()))
	cometDone, cloudDone := make(chan error, 1), make(chan error, 1)
	go func() { cometDone <- n.comet.Serve(cometCtx, ln) }()
	go func() { cloudDone <- n.cloud.Run(cloudCtx) }()
	n.stop = sync.OnceFunc(func() {
		stopCloud()
		if err := <-cloudDone; err != nil {
			t.Errorf("cloud: %v", err)
		}
		stopComet()
		if err := <-cometDone; err != nil {
			t.Errorf("comet: %v", err)
		}
	})
	t.Cleanup(n.stop)
	return n
}

// trio starts three comets that know each other by the cluster.
func trio(t *testing.T, change func(*oort.Config)) [3]*node {
	t.Helper()
	m := newMembers()
	var nodes [3]*node
	for i := range nodes {
		nodes[i] = start(t, plan{members: m, change: change})
	}
	m.set(nodes[:]...)
	mesh(t, nodes[:]...)
	return nodes
}

// joined tells whether n is linked with other in both directions, other being the
// incarnation that runs now.
func (n *node) joined(other *node) bool {
	for _, p := range n.cloud.Peers() {
		if p.URL == other.url && p.ID == other.cloud.ID() {
			return p.State == oort.Joined && p.Member
		}
	}
	return false
}

// mesh waits until all nodes have joined all others.
func mesh(t *testing.T, nodes ...*node) {
	t.Helper()
	for _, a := range nodes {
		for _, b := range nodes {
			if a != b {
				eventually(t, func() bool { return a.joined(b) }, func() string {
					return fmt.Sprintf("%s has not joined %s: %+v", a.url, b.url, a.cloud.Peers())
				})
			}
		}
	}
}

// eventually waits until what other goroutines do has come about.
func eventually(t *testing.T, ok func() bool, otherwise func() string) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal(otherwise())
		}
	}
}

// metric is the value of one of the cloud's metrics, given with its label if it has one.
func (n *node) metric(name, label string) float64 {
	n.t.Helper()
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(n.cloud.Collector()); err != nil {
		n.t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.Metric {
			if label == "" || slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetValue() == label }) {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	n.t.Fatalf("no metric %s %s", name, label)
	return 0
}

// members is a cluster that the test makes up.
type members struct {
	mu    sync.Mutex
	view  *cluster.View
	chans []chan *cluster.View
}

func newMembers() *members { return &members{view: &cluster.View{}} }

func (m *members) Watch(context.Context) <-chan *cluster.View {
	m.mu.Lock()
	defer m.mu.Unlock()
	ch := make(chan *cluster.View, 16)
	ch <- m.view
	m.chans = append(m.chans, ch)
	return ch
}

func (m *members) set(up ...*node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := &cluster.View{}
	for _, n := range up {
		v.Nodes = append(v.Nodes, cluster.Node{
			Name: n.addr, Tag: n.cloud.ID(), Role: cluster.RoleComet, URL: n.url, State: cluster.Up, Started: time.Now(),
		})
	}
	m.view = v
	for _, ch := range m.chans {
		ch <- v
	}
}

// user is an ordinary client.
type user struct {
	t   *testing.T
	c   *client.Client
	got chan string // channel and data of each message
}

func (n *node) user(t *testing.T) *user {
	t.Helper()
	u := &user{t: t, got: make(chan string, 10000)}
	ready := make(chan struct{})
	up := sync.OnceFunc(func() { close(ready) })
	cfg := client.DefaultConfig(n.scheme + "://" + n.addr + "/cometd")
	cfg.TLS = n.trust
	cfg.OnConnect = up
	cfg.OnMessage = func(m *bayeux.Message) { u.got <- m.Channel + " " + string(m.Data) }
	var err error
	if u.c, err = client.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- u.c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	select {
	case <-ready:
	case err := <-done:
		t.Fatalf("client has ended: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("client has not connected")
	}
	return u
}

func (u *user) subscribe(channels ...string) {
	u.t.Helper()
	for _, ch := range channels {
		if err := u.c.Subscribe(u.t.Context(), ch); err != nil {
			u.t.Fatal(err)
		}
	}
}

func (u *user) unsubscribe(channel string) {
	u.t.Helper()
	if err := u.c.Unsubscribe(u.t.Context(), channel); err != nil {
		u.t.Fatal(err)
	}
}

func (u *user) publish(channel, data string) {
	u.t.Helper()
	if err := u.c.Publish(u.t.Context(), channel, bayeux.RawJSON(data)); err != nil {
		u.t.Fatal(err)
	}
}

// gets takes the next messages; they must be these.
func (u *user) gets(want ...string) {
	u.t.Helper()
	for _, w := range want {
		select {
		case got := <-u.got:
			if got != w {
				u.t.Fatalf("got %q, want %q", got, w)
			}
		case <-time.After(20 * time.Second):
			u.t.Fatalf("did not get %q", w)
		}
	}
}

// proxy stands in front of a node, or of its successor, and can be cut.
type proxy struct {
	ln net.Listener
	wg sync.WaitGroup

	mu     sync.Mutex
	target string
	down   bool
	conns  map[net.Conn]bool
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, conns: make(map[net.Conn]bool)}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		ln.Close()
		p.cut(true)
		p.wg.Wait()
	})
	return p
}

func (p *proxy) url() string { return "http://" + p.ln.Addr().String() + "/cometd" }

func (p *proxy) to(n *node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = n.addr
}

// cut closes all connections; while down, new ones too.
func (p *proxy) cut(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
	for c := range p.conns {
		c.Close()
	}
}

func (p *proxy) accept() {
	for {
		in, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.pass(in) })
	}
}

func (p *proxy) pass(in net.Conn) {
	defer in.Close()
	p.mu.Lock()
	target, down := p.target, p.down
	p.mu.Unlock()
	if down {
		return
	}
	out, err := net.Dial("tcp4", target)
	if err != nil {
		return
	}
	defer out.Close()
	p.mu.Lock()
	p.conns[in], p.conns[out] = true, true
	down = p.down
	p.mu.Unlock()
	if !down {
		var wg sync.WaitGroup
		wg.Go(func() { io.Copy(out, in); out.Close(); in.Close() })
		wg.Go(func() { io.Copy(in, out); out.Close(); in.Close() })
		wg.Wait()
	}
	p.mu.Lock()
	delete(p.conns, in)
	delete(p.conns, out)
	p.mu.Unlock()
}

func logTo(l *zap.Logger) func(*oort.Config) { return func(c *oort.Config) { c.Log = l } }
