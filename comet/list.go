package comet

import (
	"sync"
	"sync/atomic"
)

// list holds callbacks in the order in which they were added. Reading it costs one
// atomic load and no lock, so that callbacks run under none. The zero value is
// empty, and so is nil.
type list[T any] struct {
	mu      sync.Mutex // held while entries is replaced
	entries atomic.Pointer[[]*entry[T]]
}

// entry is one registration: its address tells it from another of the same callback.
type entry[T any] struct{ call T }

// add returns what removes it again.
func (l *list[T]) add(call T) (remove func()) {
	e := &entry[T]{call}
	l.replace(func(old []*entry[T]) []*entry[T] { return append(old, e) })
	return func() {
		l.replace(func(old []*entry[T]) []*entry[T] { return without(old, e) })
	}
}

func (l *list[T]) replace(change func([]*entry[T]) []*entry[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := change(append([]*entry[T](nil), l.all()...))
	l.entries.Store(&now)
}

// all is not to be changed.
func (l *list[T]) all() []*entry[T] {
	if l == nil {
		return nil
	}
	if p := l.entries.Load(); p != nil {
		return *p
	}
	return nil
}

func (l *list[T]) empty() bool { return len(l.all()) == 0 }

// without is a copy of entries that lacks e.
func without[T any](entries []*entry[T], e *entry[T]) []*entry[T] {
	var kept []*entry[T]
	for _, other := range entries {
		if other != e {
			kept = append(kept, other)
		}
	}
	return kept
}
