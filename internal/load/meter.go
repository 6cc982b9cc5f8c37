package load

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are kept in microseconds with three digits, up to a minute; what takes
// longer counts as a minute.
const (
	maxLatency = int64(time.Minute / time.Microsecond)
	digits     = 3
)

// shards is over how many locks the deliveries are spread.
const shards = 16

// meter counts deliveries. Clients write to its shards; Run reads them.
type meter struct {
	from, until atomic.Int64 // when what is measured is sent: nanoseconds of the run
	shards      [shards]shard
}

type shard struct {
	mu sync.Mutex
	counts
	latency *hdrhistogram.Histogram
	_       [64]byte // shards of one processor's are not in another's cache line
}

// counts are deliveries by what they were.
type counts struct {
	first     int64 // of their number, to their client
	doubled   int64
	overtaken int64 // also first
	stray     int64 // of another room, or never published
}

func newMeter() *meter {
	m := &meter{}
	m.from.Store(1<<63 - 1)
	for i := range m.shards {
		m.shards[i].latency = hdrhistogram.New(1, maxLatency, digits)
	}
	return m
}

// measure says from now on what is measured: messages sent from one moment to
// another.
func (m *meter) measure(from, until time.Duration) {
	m.until.Store(int64(until))
	m.from.Store(int64(from))
}

// took counts the deliveries of one frame or answer, which were read at now.
// The client's set belongs to the caller.
func (m *meter) took(client int, r *room, s *seen, k *marks, text []byte, now time.Duration) {
	mk, rest, found := k.next(text)
	if !found {
		return
	}
	sh := &m.shards[client%shards]
	from, until := time.Duration(m.from.Load()), time.Duration(m.until.Load())
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for ; found; mk, rest, found = k.next(rest) {
		if r == nil || mk.room != r.index || mk.seq >= r.published.Load() {
			sh.stray++
			continue
		}
		switch s.add(mk.seq) {
		case doubled:
			sh.doubled++
			continue
		case overtaken:
			sh.overtaken++
		case inOrder:
		}
		sh.first++
		if mk.sent >= from && mk.sent < until {
			// Within the bounds of the histogram nothing can fail.
			_ = sh.latency.RecordValue(min(max(int64((now-mk.sent)/time.Microsecond), 1), maxLatency))
		}
		r.came(mk.seq)
	}
}

// total sums the shards.
func (m *meter) total() counts {
	var all counts
	for i := range m.shards {
		sh := &m.shards[i]
		sh.mu.Lock()
		all.first += sh.first
		all.doubled += sh.doubled
		all.overtaken += sh.overtaken
		all.stray += sh.stray
		sh.mu.Unlock()
	}
	return all
}

// latencies merges the histograms.
func (m *meter) latencies() *hdrhistogram.Histogram {
	all := hdrhistogram.New(1, maxLatency, digits)
	for i := range m.shards {
		sh := &m.shards[i]
		sh.mu.Lock()
		all.Merge(sh.latency)
		sh.mu.Unlock()
	}
	return all
}
