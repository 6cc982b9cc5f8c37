package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/oklog/run"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/balancer"
	"github.com/halleycomet/halley/cluster"
	"github.com/halleycomet/halley/internal/origins"
	"github.com/halleycomet/halley/internal/sticky"
)

// Path is the Bayeux endpoint of the demo.
const Path = "/cometd"

// leaveTimeout bounds the goodbyes to the gossip. At the end all leave at once, and
// nobody is left to confirm a goodbye.
const leaveTimeout = 300 * time.Millisecond

// MaxComets bounds the comets of one demo.
const MaxComets = 32

// Config says what the demo runs.
type Config struct {
	// Listen is the balancer's address. Whoever reaches it can press the demo's
	// buttons. Default "127.0.0.1:8080".
	Listen string

	// Comets is the number of comets, 1 to 32. Default 3.
	Comets int

	// Out gets the few lines that say where the demo listens and what to try.
	Out io.Writer

	// Log gets what the parts have to say. Nil: nothing is logged.
	Log *zap.Logger
}

// DefaultConfig returns the defaults that the fields name.
func DefaultConfig() Config {
	return Config{Listen: "127.0.0.1:8080", Comets: 3, Out: io.Discard, Log: zap.NewNop()}
}

// Validate reports every mistake, each with the name of its setting.
func (c *Config) Validate() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("listen: %w", err))
	}
	if c.Comets < 1 || c.Comets > MaxComets {
		errs = append(errs, fmt.Errorf("comets: %d is not 1 to %d", c.Comets, MaxComets))
	}
	return errors.Join(errs...)
}

// secrets keep other processes of the machine out of the demo's cloud.
type secrets struct {
	gossip []byte
	oort   string
}

func newSecrets() secrets {
	key := make([]byte, 32)
	rand.Read(key) // never fails: crypto/rand ends the program instead
	return secrets{gossip: key, oort: rand.Text()}
}

func (s secrets) keys() [][]byte { return [][]byte{s.gossip} }

// demo is one balancer and its comets.
type demo struct {
	// Fixed after construction.
	cfg        Config
	listener   net.Listener
	origins    origins.Policy
	cookieName string
	secrets    secrets
	members    *cluster.Cluster
	balancer   *balancer.Balancer
	nodes      []*node

	lives context.Context // that of every comet; fixed when run begins
}

// Run runs the demo until ctx ends. Everything is stopped when it returns.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer listener.Close()
	d, err := build(cfg, listener)
	if err != nil {
		return err
	}
	return d.run(ctx)
}

// build makes the parts, from the socket up:
//
//	listener ─ web (page, buttons) ─ balancer ─ members (gossip)
//	                                     ┊
//	                  node, node, node …   see node.go
func build(cfg Config, listener net.Listener) (*demo, error) {
	d := &demo{cfg: cfg, listener: listener, secrets: newSecrets()}
	names := pageOrigins(listener.Addr())
	var err error
	if d.origins, err = origins.Parse(names); err != nil {
		return nil, err
	}

	members := cluster.DefaultConfig()
	members.Name, members.Tag, members.Role = "balancer", string(sticky.NewTag()), cluster.RoleBalancer
	members.Bind, members.Keys, members.Log = "127.0.0.1:0", d.secrets.keys(), cfg.Log
	members.LeaveTimeout = leaveTimeout
	if d.members, err = cluster.New(members); err != nil {
		return nil, err
	}

	front := balancer.DefaultConfig()
	front.Path, front.Origins, front.Log = Path, names, cfg.Log
	d.cookieName = front.Cookie.Name
	if d.balancer, err = balancer.New(front, d.members); err != nil {
		return nil, err
	}

	for i := range cfg.Comets {
		d.nodes = append(d.nodes, &node{
			name: fmt.Sprintf("comet-%d", i+1), log: cfg.Log, origins: names, secrets: d.secrets,
			join: func() []string { return []string{d.members.Addr()} },
		})
	}
	return d, nil
}

// pageOrigins are the origins of pages that came from the demo: on loopback by
// any name of this machine, elsewhere those of the same host, which is what an
// empty list means.
func pageOrigins(addr net.Addr) []string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsLoopback() {
		return nil
	}
	list := []string{
		fmt.Sprintf("http://localhost:%d", tcp.Port),
		fmt.Sprintf("http://127.0.0.1:%d", tcp.Port),
		fmt.Sprintf("http://[::1]:%d", tcp.Port),
	}
	if own := "http://" + addr.String(); !slices.Contains(list, own) {
		list = append(list, own)
	}
	return list
}

func (d *demo) run(ctx context.Context) error {
	lives, endLives := context.WithCancel(ctx)
	defer endLives()
	d.lives = lives

	var g run.Group
	add := func(run func(context.Context) error) {
		ctx, cancel := context.WithCancel(ctx)
		g.Add(func() error { return run(ctx) }, func(error) { cancel() })
	}
	add(d.members.Run)
	add(d.balancer.Run)
	add(d.serveWeb)
	add(func(ctx context.Context) error {
		defer d.endNodes(endLives)
		if err := d.startNodes(ctx); err != nil {
			return err
		}
		d.greet()
		<-ctx.Done()
		return nil
	})
	return g.Run()
}

// serveWeb serves the page, and through it everything else, until ctx ends.
func (d *demo) serveWeb(ctx context.Context) error {
	return d.balancer.ServeHandler(ctx, d.listener, d.serve)
}

// startNodes starts the comets when there is a gossip to join.
func (d *demo) startNodes(ctx context.Context) error {
	select {
	case <-d.members.Started():
	case <-ctx.Done():
		return nil
	}
	for _, n := range d.nodes {
		if err := d.start(n); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) start(n *node) error { return n.start(d.lives) }

// endNodes ends all comets in order, at the same time.
func (d *demo) endNodes(endLives func()) {
	endLives()
	var all sync.WaitGroup
	for _, n := range d.nodes {
		all.Go(n.wait)
	}
	all.Wait()
}

func (d *demo) greet() {
	at := d.listener.Addr().String()
	fmt.Fprintf(d.cfg.Out, `One balancer and %[2]d comets listen on http://%[1]s

  Open http://%[1]s in two windows, move one of them to another comet, chat.
  Then stop the comet that holds one of them, and go on.
  Watch from a terminal:  go run ./cmd/comet sub http://%[1]s%[3]s '/chat/*'
  Say something:          go run ./cmd/comet pub http://%[1]s%[3]s /chat/demo '{"user":"me","text":"hello"}'

Ctrl-C stops everything.
`, at, len(d.nodes), Path)
}
