package balancer

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/halleycomet/halley/internal/discovery"
	"github.com/halleycomet/halley/internal/origins"
	"github.com/halleycomet/halley/internal/tlsfiles"
	"go.uber.org/zap"
)

// live is the configuration in force. All parts of a balancer share it, and Reload
// swaps it as a whole. Whoever needs two settings that must belong together takes one
// snapshot and reads both from it; a request takes its own once (exchange.conf).
type live struct {
	// Safe for any goroutine.
	now atomic.Pointer[inForce]

	// Fixed after construction.
	connector *connector

	mu sync.Mutex // held during a reload: one at a time
}

// inForce is a configuration with what is made of it. Nothing in it ever changes.
type inForce struct {
	Config
	origins origins.Policy
	proxies proxies
	// What of a request's head is told or begun: see headFrom.
	forwards forwardSet
	idName   string
	listed   []discovery.Entry
}

func newLive(cfg Config) (*live, error) {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	first, err := newInForce(cfg)
	if err != nil {
		return nil, err
	}
	dialer, err := tlsfiles.LoadDialer(cfg.CometTLS.files())
	if err != nil {
		return nil, err
	}
	l := &live{connector: &connector{tls: dialer, proxy: cfg.CometProxyProtocol}}
	l.now.Store(first)
	return l, nil
}

// conf is the configuration as it is now.
func (l *live) conf() *Config { return &l.now.Load().Config }

func newInForce(cfg Config) (*inForce, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	// What the caller does to its slices later is not to be seen here.
	cfg.Comets = slices.Clone(cfg.Comets)
	cfg.TrustedProxies = slices.Clone(cfg.TrustedProxies)
	cfg.Origins = slices.Clone(cfg.Origins)
	cfg.ForwardHeaders = slices.Clone(cfg.ForwardHeaders)
	in := &inForce{Config: cfg}
	var err error
	if in.origins, err = origins.Parse(cfg.Origins); err != nil {
		return nil, err
	}
	in.idName = canonicalName(cfg.RequestIDHeader)
	if in.forwards, err = parseForwards(cfg.ForwardHeaders); err != nil {
		return nil, err
	}
	if in.proxies, err = parseProxies(cfg.TrustedProxies); err != nil {
		return nil, err
	}
	if in.listed, err = discovery.Parse("comets: ", cfg.Comets); err != nil {
		return nil, err
	}
	return in, nil
}

// errNobody: there would be no comets.
var errNobody = errors.New("comets: none are listed, and there is no gossip to find them")

// conf is the configuration as it is now; see live.
func (b *Balancer) conf() *Config { return b.live.conf() }

// inForce is the same with what was made of it.
func (b *Balancer) inForce() *inForce { return b.live.now.Load() }

// Reload puts another configuration in force while the balancer runs, as far as it
// can: no connection is closed for it, and a request that is under way ends with the
// settings that it began with. It returns the names of the settings that changed, and
// of those that differ but are read at the start only (their fields say so), which
// stay as they were. Of a configuration with a mistake nothing is taken. Comets that
// are no longer listed are drained. What the program handed to [New] beside the
// settings, the log among it, stays.
func (b *Balancer) Reload(cfg Config) (applied, needRestart []string, err error) {
	l := b.live
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.now.Load()
	keepHanded(&cfg, &old.Config)
	if _, err := newInForce(cfg); err != nil {
		return nil, nil, fmt.Errorf("balancer: reload: %w", err)
	}
	for _, s := range changes(&old.Config, &cfg) {
		if s.restart {
			needRestart = append(needRestart, s.name)
			s.copy(&cfg, &old.Config)
		} else {
			applied = append(applied, s.name)
		}
	}
	if len(applied) == 0 {
		return nil, needRestart, nil
	}
	// Once more: what stays must agree with what comes.
	next, err := newInForce(cfg)
	if err == nil && b.fleet.members == nil && !cfg.lists() {
		err = errNobody
	}
	if err != nil {
		return nil, nil, fmt.Errorf("balancer: reload: %w", err)
	}
	l.now.Store(next)
	b.fleet.reloaded()
	return applied, needRestart, nil
}
