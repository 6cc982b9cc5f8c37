package comet

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// registrations is what the program said about channels and patterns: who listens,
// who authorizes, and how messages go. While it is empty, it costs a publish a few
// atomic loads.
type registrations struct {
	authorizers, listeners, subscriptions, flags atomic.Int32 // how many there are

	mu sync.RWMutex
	// guarded by mu; what it holds is replaced, never changed
	byName map[string]*registration
}

// registration is what was said about one channel or pattern.
type registration struct {
	authorizers   []*entry[Authorizer]
	listeners     []*entry[listener]
	subscriptions []*entry[SubscriptionListener]
	flags         flags
}

// flags is how the messages of a channel go. The zero value is the default.
type flags struct {
	persistent  bool
	lazy        bool
	lazyTimeout time.Duration
	// toPublisher is 0 when nothing was said, 1 for yes, -1 for no.
	toPublisher int
}

var nothing registration

// of is what was said about exactly this name.
func (r *registrations) of(name string) *registration {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if said := r.byName[name]; said != nil {
		return said
	}
	return &nothing
}

func (r *registrations) knows(name string) bool { return r.of(name) != &nothing }

// change replaces what was said about name.
func (r *registrations) change(name string, edit func(*registration)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var before, after registration
	if said := r.byName[name]; said != nil {
		before = *said
	}
	after = before
	edit(&after)
	r.authorizers.Add(int32(len(after.authorizers) - len(before.authorizers)))
	r.listeners.Add(int32(len(after.listeners) - len(before.listeners)))
	r.subscriptions.Add(int32(len(after.subscriptions) - len(before.subscriptions)))
	r.flags.Add(set(after.flags) - set(before.flags))
	if len(after.authorizers)+len(after.listeners)+len(after.subscriptions) == 0 && after.flags == (flags{}) {
		delete(r.byName, name)
		return
	}
	if r.byName == nil {
		r.byName = make(map[string]*registration)
	}
	r.byName[name] = &after
}

func set(f flags) int32 {
	if f == (flags{}) {
		return 0
	}
	return 1
}

// flagsFor adds up what was said about the channel and the patterns that match it.
// It is lazy if any is, and the most specific timeout counts, as in CometD.
func (r *registrations) flagsFor(channel string) (all flags) {
	if r.flags.Load() == 0 {
		return flags{}
	}
	for _, pattern := range bayeux.Covering(channel) {
		f := r.of(pattern).flags
		all.lazy = all.lazy || f.lazy
		if all.lazyTimeout == 0 {
			all.lazyTimeout = f.lazyTimeout
		}
		if all.toPublisher == 0 {
			all.toPublisher = f.toPublisher
		}
	}
	return all
}

// exists tells whether a channel is there, so that nobody creates it by using it: a
// service channel also when it matches a pattern that somebody listens to.
func (s *Server) exists(channel string) bool {
	return s.registered.knows(channel) || s.channels.has(channel) || bayeux.KindOf(channel) == bayeux.Service && s.heard(channel)
}

// observed tells whether there are callbacks that could ask for the request of a
// message.
func (s *Server) observed() bool {
	r := &s.registered
	return s.policy != nil || !s.extensions.empty() || !s.sessionListeners.empty() || !s.subscriptionListeners.empty() ||
		r.authorizers.Load()+r.listeners.Load()+r.subscriptions.Load() > 0
}
