package balancer

import (
	"sync"
	"time"

	"github.com/halleycomet/halley/internal/sticky"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/prometheus/client_golang/prometheus"
)

// maxLearntID is the longest clientId that is learnt, in bytes: CometD's have 27, Faye's
// 31. With it the table is bounded in bytes as it is in entries.
const maxLearntID = 64

// learnt knows of which comet a session is whose clientId has no tag in it: from the
// answers to handshakes that passed by. Only what a comet answered is learnt, so no
// client can make an entry or change one. What was not used for the longest time goes
// first when there is no more room.
//
// One mutex guards it, which is held for one look into a map: with two processors that
// do nothing but ask, a question takes no longer than with one (BenchmarkLearnt).
type learnt struct {
	// Fixed after construction.
	conf func() *Config

	hits, misses, learns, evictions, expiries, unreadable prometheus.Counter

	mu sync.Mutex
	// Guarded by mu.
	table *simplelru.LRU[string, *learntOwner] // nil before the first entry
	room  int                                  // of table
}

// learntOwner is the comet of a session, by the tag of its name: the comet may come and
// go meanwhile.
type learntOwner struct {
	tag   sticky.Tag
	until time.Time
}

func newLearnt(conf func() *Config, m *metrics) *learnt {
	of := func(event string) prometheus.Counter { return m.learnt.WithLabelValues(event) }
	return &learnt{
		conf: conf, hits: of("hit"), misses: of("miss"), learns: of("learnt"),
		evictions: of("evicted"), expiries: of("expired"), unreadable: of("unreadable"),
	}
}

// find tells of which comet a session is, by the tag of the comet's name.
func (l *learnt) find(clientID string) (tag sticky.Tag, ok bool) {
	life := l.conf().Routing.LearnTime
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.table == nil {
		l.misses.Inc()
		return "", false
	}
	o, ok := l.table.Get(clientID)
	switch {
	case !ok:
		l.misses.Inc()
		return "", false
	case now.After(o.until):
		l.table.Remove(clientID)
		l.expiries.Inc()
		return "", false
	}
	o.until = now.Add(life)
	l.hits.Inc()
	return o.tag, true
}

// learn enters a session that c has begun.
func (l *learnt) learn(clientID string, c *comet) {
	r := &l.conf().Routing
	switch {
	case r.LearnSessions == 0:
		return
	case len(clientID) > maxLearntID:
		l.unreadable.Inc()
		return
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.table == nil {
		// The error is for a size that is not above zero.
		l.table, _ = simplelru.NewLRU[string, *learntOwner](r.LearnSessions, nil)
		l.room = r.LearnSessions
	}
	if l.room != r.LearnSessions {
		l.evictions.Add(float64(l.table.Resize(r.LearnSessions)))
		l.room = r.LearnSessions
	}
	for range 2 { // one comes, so that two go: the dead do not pile up
		_, oldest, ok := l.table.GetOldest()
		if !ok || !now.After(oldest.until) {
			break
		}
		l.table.RemoveOldest()
		l.expiries.Inc()
	}
	if l.table.Add(clientID, &learntOwner{c.nameTag, now.Add(r.LearnTime)}) {
		l.evictions.Inc()
	}
	l.learns.Inc()
}

// len is how many sessions are known, those included that have expired unnoticed.
func (l *learnt) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.table == nil {
		return 0
	}
	return l.table.Len()
}

func (l *learnt) gauge() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "halley", Subsystem: "balancer", Name: "learnt_sessions",
		Help: "Sessions that are remembered by what was learnt from answers to handshakes.",
	}, func() float64 { return float64(l.len()) })
}
