package balancer

import (
	"math/rand/v2"
	"time"
)

// pace is a token bucket by its times: what comes at most every so often is let
// through, and after a pause a little more at once. It is the virtual scheduling of
// GCRA (ITU-T I.371), which keeps no tokens but the time at which the next is due.
//
// Who would have to wait for longer than its patience is sent away, and told when to
// come back: a second schedule, behind those who wait, gives each of them a time of its
// own, at the same pace. So who was sent away does not come back together.
//
// Times are in nanoseconds of any clock. Not for several goroutines at once.
type pace struct {
	next int64 // when the next is due: after those who were let through and wait for it
	told int64 // when the next of those who are sent away is to be back
}

// maxBack is the longest time for which anybody is sent away.
const maxBack = time.Minute

// take lets one through, after the time that it returns, if it is not above patience;
// else it returns after how long to come back. every is the time between two, burst how
// much of it may have been saved up.
func (p *pace) take(now int64, every, burst, patience time.Duration) (after time.Duration, ok bool) {
	due := max(p.next, now-int64(burst))
	if wait := time.Duration(due - now); wait <= patience {
		p.next = due + int64(every)
		return max(wait, 0), true
	}
	back := max(p.told, p.next)
	if after = time.Duration(back - now); after > maxBack {
		// So many that no order is kept among them: the time is shared.
		return maxBack/2 + rand.N(maxBack/2), false
	}
	p.told = back + int64(every)
	return after, false
}

// try is take without a word to who is not let through.
func (p *pace) try(now int64, every, burst time.Duration) bool {
	due := max(p.next, now-int64(burst))
	if due > now {
		return false
	}
	p.next = due + int64(every)
	return true
}

// rests tells that nothing is left to be remembered.
func (p *pace) rests(now int64) bool { return max(p.next, p.told) <= now }

// paces are those of many, of whom a bounded number is remembered: those seen last.
// Who is forgotten begins anew, which favours it by one burst.
type paces[K comparable] struct {
	most         int
	young, older map[K]pace // together at most this many
	lost         int        // how many were forgotten that were still being held back
}

func newPaces[K comparable](most int) paces[K] {
	return paces[K]{most: most, young: make(map[K]pace)}
}

// of is the pace of one of them, to be put back with keep.
func (ps *paces[K]) of(key K, now int64) pace {
	p, known := ps.young[key]
	if !known {
		p = ps.older[key]
		if len(ps.young) >= ps.most/2 {
			ps.turn(now)
		}
	}
	return p
}

func (ps *paces[K]) keep(key K, p pace) { ps.young[key] = p }

// take is that of one of them.
func (ps *paces[K]) take(key K, now int64, every, burst, patience time.Duration) (after time.Duration, ok bool) {
	p := ps.of(key, now)
	after, ok = p.take(now, every, burst, patience)
	ps.keep(key, p)
	return after, ok
}

// turn forgets the older half.
func (ps *paces[K]) turn(now int64) {
	for key, p := range ps.older {
		if _, again := ps.young[key]; !again && !p.rests(now) {
			ps.lost++
		}
	}
	ps.older, ps.young = ps.young, make(map[K]pace, ps.most/2)
}

func (ps *paces[K]) len() int { return len(ps.young) + len(ps.older) }
