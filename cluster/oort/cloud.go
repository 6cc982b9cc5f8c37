package oort

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/halleycomet/halley/cluster"
	"go.uber.org/zap"
)

// Comet is what the cloud wants of the comet that it links with others.
type Comet interface {
	// Deliver takes a message from another comet to the local subscribers, never to
	// other comets. It is called in the order of the messages of each link, and the
	// message is the comet's to keep.
	Deliver(m *bayeux.Message)

	// DropSession ends the session of a peer that has been replaced. It is called
	// from a goroutine of the cloud's own, and need not report the session by PeerGone.
	DropSession(sessionID string)
}

// Members is what the cloud wants of the cluster: the views, the present one first.
// The channel may be closed when ctx ends. *cluster.Cluster is one.
type Members interface {
	Watch(ctx context.Context) <-chan *cluster.View
}

// Cloud links one comet with the others. It is the comet's own view of the cloud:
// which comets there are, how far the links to them have come, what is observed on
// them. Its methods may be called before Run, and by many goroutines at once.
type Cloud struct {
	// Fixed after construction.
	cfg     Config
	me      identity
	members Members
	comet   Comet
	log     *zap.Logger
	wake    chan struct{} // holds one token when Run has something to look at

	counts counters // atomics

	// mu guards what follows, and the fields of links and peers that say so. It is
	// never held while the comet, the cluster or a client is called.
	mu        sync.Mutex
	links     map[string]*link     // by the URL that is dialled
	peers     map[string]*peer     // those linked to us, by oortId
	sessions  map[string]*peer     // the same, by session
	interests map[string]*interest // what is observed, by channel
	gates     map[string]*gate     // who waits for a confirmation, by channel
	drops     []string             // sessions for Run to drop
	throttles map[string]*throttle // of log lines
	running   bool                 // Run was called
	closing   bool                 // Run is about to return
}

// New builds a cloud for comet. members may be nil: then only Config.Static and
// the comets that link to this one are in it. It starts nothing.
func New(cfg Config, members Members, comet Comet) (*Cloud, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("oort: %w", err)
	}
	if comet == nil {
		return nil, errors.New("oort: no comet")
	}
	c := &Cloud{
		cfg:       cfg,
		me:        newIdentity(&cfg),
		members:   members,
		comet:     comet,
		log:       cfg.Log,
		wake:      make(chan struct{}, 1),
		links:     make(map[string]*link),
		peers:     make(map[string]*peer),
		sessions:  make(map[string]*peer),
		interests: make(map[string]*interest),
		gates:     make(map[string]*gate),
		throttles: make(map[string]*throttle),
	}
	c.counts.init()
	for _, ch := range cfg.Channels {
		c.interests[bayeux.CleanChannel(ch)] = &interest{static: true}
	}
	now := time.Now()
	for _, u := range cfg.Static {
		if u == c.me.url {
			continue
		}
		if l := c.ensure(u, "", now); l != nil {
			l.static = true
		}
	}
	return c, nil
}

// URL is this comet's name in the cloud.
func (c *Cloud) URL() string { return c.me.url }

// ID is the oortId of this incarnation.
func (c *Cloud) ID() string { return c.me.id }

// Run keeps the links until ctx ends. Then it says goodbye on all of them, bounded
// by Config.LeaveTimeout, and returns nil when nothing of it is alive. It may be called once.
func (c *Cloud) Run(ctx context.Context) error {
	c.mu.Lock()
	if c.running {
		c.mu.Unlock()
		return errors.New("oort: Run called twice")
	}
	c.running = true
	c.mu.Unlock()

	var views <-chan *cluster.View
	if c.members != nil {
		views = c.members.Watch(ctx)
	}
	var links sync.WaitGroup
	for {
		wait := c.reconcile(func(l *link) {
			lctx, cancel := context.WithCancel(ctx)
			l.cancel = cancel
			links.Go(func() { l.run(lctx) })
		})
		c.dropSessions()
		var timer <-chan time.Time
		if wait > 0 {
			timer = time.After(wait)
		}
		select {
		case <-ctx.Done():
			c.close()
			links.Wait()
			c.dropSessions()
			return nil
		case v, ok := <-views:
			if !ok {
				views = nil
			} else {
				c.applyView(v)
			}
		case <-c.wake:
		case <-timer:
		}
	}
}

// signal makes Run look around.
func (c *Cloud) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// dropSessions ends the sessions of peers that were replaced. It is done here and
// not where the replacement is found, since the comet may hold locks there.
func (c *Cloud) dropSessions() {
	c.mu.Lock()
	ids := c.drops
	c.drops = nil
	c.mu.Unlock()
	for _, id := range ids {
		c.comet.DropSession(id)
	}
}

// close ends the membership: nobody is taken in any more, nobody is waited for.
func (c *Cloud) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	for _, l := range c.links {
		c.move(l, evStop)
	}
}
