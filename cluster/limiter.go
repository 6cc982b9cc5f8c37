package cluster

import (
	"sync"
	"time"
)

// lineClass says which limit a log line falls under: the refused have their own, so
// that a flood from outside does not silence the rest.
type lineClass uint8

const (
	lineDebug lineClass = iota
	lineInfo
	lineWarn
	lineError
	lineRefusedKey
	lineRefusedLabel
	lineMalformed
	lineJoin
	lineClasses // how many there are
)

// A class may log lineBurst lines at once and one more every lineEvery.
const (
	lineBurst = 5
	lineEvery = 2 * time.Second
)

// limiter is a token bucket for each class of lines.
type limiter struct {
	mu      sync.Mutex
	buckets [lineClasses]bucket // guarded by mu
}

type bucket struct {
	used       int       // tokens taken
	since      time.Time // up to where tokens have been given back
	suppressed uint64    // lines not logged since the last one that was
}

// allow reports whether a line may be logged now, and how many before it were not.
func (l *limiter) allow(class lineClass, now time.Time) (ok bool, suppressed uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := &l.buckets[class]
	if back := int(now.Sub(b.since) / lineEvery); back >= b.used {
		b.used, b.since = 0, now
	} else {
		b.used -= back
		b.since = b.since.Add(time.Duration(back) * lineEvery)
	}
	if b.used == lineBurst {
		b.suppressed++
		return false, 0
	}
	b.used++
	suppressed, b.suppressed = b.suppressed, 0
	return true, suppressed
}
