package comet

import (
	"context"
	"fmt"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/halleycomet/halley/internal/origins"
	"github.com/halleycomet/halley/internal/park"
	"github.com/halleycomet/halley/internal/sticky"
)

// Server is one comet. Its methods may be called from any goroutine.
type Server struct {
	// fixed after construction
	cfg      Config
	log      *zap.Logger
	origins  origins.Policy
	nameTag  sticky.Tag
	cloud    Cloud // by SetCloud
	stats    *stats
	sessions *registry
	watch    *park.Set
	lot      *park.Lot       // of the connections over HTTP
	life     context.Context // ends when the comet leaves
	endLife  context.CancelFunc

	// by those who build on the comet
	policy                SecurityPolicy // by SetPolicy
	extensions            list[Extension]
	sessionListeners      list[SessionListener]
	subscriptionListeners list[SubscriptionListener]
	registered            registrations
	browsers              browsers // held connects of each
	backlog               backlog  // what waits in all sessions
	full                  sparse   // of warnings about full queues
	calls                 *crew    // remote calls
	callbacks             *crew    // of local sessions, and of extensions about held connects

	channels channels
	flush    flusher
	strange  sparse // of warnings about refused origins
	tight    sparse // of warnings that there is no room for connections

	ran      atomic.Bool // Run was called
	draining atomic.Bool // set once, by Drain: no new clients
	leaving  atomic.Bool // set once, by Leave or when Run's context ends: no more clients
	left     atomic.Bool // set once, when Run's context ends: no more comets either
}

// New builds a comet. It starts nothing; see [Server.Run].
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("comet: %w", err)
	}
	allowed, err := origins.Parse(cfg.Origins)
	if err != nil {
		return nil, fmt.Errorf("comet: origins: %w", err)
	}
	if cfg.Tag == "" {
		cfg.Tag = sticky.NewTag()
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	sessions := newRegistry()
	s := &Server{
		cfg:       cfg,
		log:       cfg.Log.Named("comet"),
		origins:   allowed,
		nameTag:   sticky.NameTag(cfg.Name),
		stats:     newStats(sessions),
		sessions:  sessions,
		calls:     newCrew(cfg.MaxCalls),
		callbacks: newCrew(0),
		watch:     park.New(),
	}
	s.lot = park.NewLot(s.watch)
	s.browsers.max = cfg.MaxSessionsPerBrowser
	s.backlog.max = int64(cfg.MaxTotalQueueBytes)
	for _, text := range cfg.LazyChannels {
		name, timeout, err := parseLazy(text)
		if err != nil {
			return nil, fmt.Errorf("comet: lazy-channels: %w", err)
		}
		s.registered.change(name, func(r *registration) { r.flags.lazy, r.flags.lazyTimeout = true, timeout })
	}
	s.channels.limits = channelLimits{perSession: cfg.MaxSubscriptions, channels: cfg.MaxChannels}
	s.life, s.endLife = context.WithCancel(context.Background())
	return s, nil
}

// Tag is the tag of this incarnation, with which its clientIds begin.
func (s *Server) Tag() sticky.Tag { return s.cfg.Tag }

// Interests lists, sorted, the channels and patterns that have local subscribers
// which are no peers.
func (s *Server) Interests() []string { return s.channels.wanted() }
