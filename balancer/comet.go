package balancer

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/halleycomet/halley/internal/discovery"
	"github.com/halleycomet/halley/internal/sticky"
	"github.com/halleycomet/halley/internal/tunnel"
)

// comet is one backend: one incarnation of a comet that gossips, or one entry of
// the static list. Its pointer is its identity: it stays the same, from snapshot to
// snapshot, until the comet is gone.
type comet struct {
	// Fixed after construction.
	discovery.Endpoint
	name    string     // its stable name; of one that does not gossip the origin
	nameTag sticky.Tag // of name; in cookies
	tag     sticky.Tag // of the incarnation; in clientIds. Empty when it does not gossip
	gossips bool
	urlTag  sticky.Tag  // of its origin, under which it may be or have been listed
	hash    uint64      // of name; for rendezvous hashing
	started time.Time   // by its own clock; zero when it does not gossip
	up      *upstream   // its connections
	tunnels *tunnel.Set // the tunnels to it
	load    *load
	limits  *gate        // what it is used for, and how far it may be
	counts  *cometCounts // what was counted under its name

	// Safe for any goroutine.
	state    atomic.Uint32
	lost     atomic.Int64          // sessions that it had when it went down
	downAt   atomic.Int64          // when it went down, in Unix nanoseconds; 0 never
	share    atomic.Uint32         // its weight
	tier     atomic.Uint32         // it is a backup of the comets of lower tiers
	fresh    atomic.Int64          // when it last became healthy while others were at work, in Unix nanoseconds; 0 never
	drain    atomic.Pointer[drain] // that moves its clients; nil while none does
	heir     atomic.Pointer[comet] // who took over its connections, at the same address
	wake     chan struct{}         // buffer 1: check now
	isFull   atomic.Bool           // cond.full
	spared   atomic.Bool           // it would be left out, if it were not one of too many
	evidence evidence              // of what clients met with

	// Guarded by fleet.mu.
	cond       condition
	deniedAt   time.Time // when it denied a handshake last
	recovering bool      // it has been down since it was healthy last
	certain    bool      // it is down, and its process is gone without a doubt
	health     health
	drains     []cause   // why it is to be left; empty when it is not
	unlisted   unlisted  // when the list has lost it
	since      time.Time // of the state
	why        cause     // of the state
	forget     context.CancelFunc
	checked    bool // at least one check has ended
}

// newComet makes a comet in state Unknown, without connections. An empty tag means
// that it does not gossip.
func newComet(at discovery.Endpoint, name string, tag sticky.Tag, started time.Time) *comet {
	c := &comet{
		Endpoint: at,
		name:     name,
		nameTag:  sticky.NameTag(name),
		tag:      tag,
		gossips:  tag != "",
		urlTag:   sticky.NameTag(at.Origin),
		hash:     hashString(name),
		started:  started,
		wake:     make(chan struct{}, 1),
	}
	c.share.Store(1)
	return c
}

// cometKey tells an incarnation of a comet from all others.
func cometKey(name string, tag sticky.Tag) string { return name + "/" + string(tag) }

func (c *comet) key() string { return cometKey(c.name, c.tag) }

// is reports whether the comet is in state s now.
func (c *comet) is(s State) bool { return State(c.state.Load()) == s }

// State is the comet's state now.
func (c *comet) State() State { return State(c.state.Load()) }

// lives reports whether requests of sessions that the comet has may be sent to it.
func (c *comet) lives() bool { return c.State().lives() }

// worstRank is that of a comet that is not for new sessions at all.
const worstRank = 1 << 20

// rank orders the comets for new sessions: first by how open they are, then backups
// after those that they are the backups of.
func (c *comet) rank() int {
	open := c.State().openness()
	if open == 0 {
		return worstRank
	}
	return (mostOpen-open)<<16 | int(c.tier.Load())
}

// opening tells whether and how the comet may get new sessions: of those whose weight
// is not 0, the comets of the lowest rank get them, in proportion to their weights.
func (c *comet) opening() (rank int, weight uint64) {
	if rank = c.rank(); rank == worstRank {
		return rank, 0
	}
	return rank, uint64(c.share.Load())
}

// living is the comet that this one has become, itself as a rule.
func (c *comet) living() *comet {
	for h := c.heir.Load(); h != nil; h = c.heir.Load() {
		c = h
	}
	return c
}

// checkNow has the comet checked without waiting for the interval to pass.
func (c *comet) checkNow() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// load is how busy a comet is, as far as this balancer knows.
type load struct {
	gossiped atomic.Int64 // sessions, as the comet says
	placed   atomic.Int64 // sessions placed here lately, which it may not have said yet
	busy     atomic.Int64 // requests in flight, held polls and tunnels of this balancer
	held     atomic.Int64 // polls among them that wait for their answer
}

// begin counts a request, a held poll or a tunnel until the returned func is called.
func (l *load) begin() (end func()) {
	l.busy.Add(1)
	return l.done
}

func (l *load) done() { l.busy.Add(-1) }

// sessions estimates the number of sessions.
func (l *load) sessions() int64 {
	return max(l.gossiped.Load(), l.busy.Load()) + l.placed.Load()
}

// heard takes over what the comet says of itself. What was placed before it said
// something new is in that number.
func (l *load) heard(n int64) {
	if l.gossiped.Swap(n) != n {
		l.placed.Store(0)
	}
}

// age lets half of what was placed lately be forgotten: those sessions are in the
// gossiped number, among the requests under way, or gone.
func (l *load) age() {
	n := l.placed.Load()
	l.placed.CompareAndSwap(n, n/2)
}

// CometStatus is what the balancer knows of one comet.
type CometStatus struct {
	// Name is the comet's stable name, or its normalised URL when it does not gossip.
	Name string `json:"name"`
	// URL is where it is reached.
	URL string `json:"url"`
	// Tag is that of its incarnation, with which its clientIds begin. Empty when it
	// does not gossip.
	Tag string `json:"tag,omitempty"`
	// State is the comet's state, Since when it was entered and Reason why.
	State  string    `json:"state"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
	// Drains is why it is to be left, also while it is down: when it is back it gets no
	// new sessions all the same. Empty when it is not to be left.
	Drains []string `json:"drains,omitempty"`
	// CheckError is what was wrong with the last check; empty when it was well, or there
	// was none yet. The state may have another reason.
	CheckError string `json:"checkError,omitempty"`
	// Load is the estimated number of its sessions.
	Load int64 `json:"load"`
	// Held is how many polls of this balancer's wait for its answer, Tunnels how many
	// WebSockets there are to it, Connections how many connections in all.
	Held        int64 `json:"held"`
	Tunnels     int   `json:"tunnels"`
	Connections int   `json:"connections"`
	// Queue is how many requests wait for room at it (see Limits.CometMaxQueue).
	Queue int64 `json:"queue"`
	// Unknown is how many polls it has answered with a 402, as far as the answers were not
	// compressed.
	Unknown int64 `json:"unknownSessions"`
	// Drain is how far this balancer has come with moving its clients; nil while it does
	// not, and of a comet that moves them itself.
	Drain *DrainStatus `json:"drain,omitempty"`
	// Gossips tells a comet of ours from one that is only listed.
	Gossips bool `json:"gossips"`
	// Weight is how many new clients it gets in proportion to others, and Backup that
	// it gets them only while those that are none take none.
	Weight int  `json:"weight"`
	Backup bool `json:"backup,omitempty"`
}
