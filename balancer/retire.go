package balancer

import (
	"slices"
	"time"
)

// quietTime is for how long nothing was under way to a comet before its sessions count
// as gone: CometD's comets forget a session that sends nothing for 10 s (maxInterval).
const quietTime = 10 * time.Second

// unlisted is what is remembered of a comet that the list has lost.
type unlisted struct {
	since time.Time // zero while it is listed
	quiet time.Time // since when nothing was under way; zero while something is
}

// over reports whether the comet has been left, or has had the time to be: nothing was
// under way for long enough, or drainTime is over.
func (u *unlisted) over(now time.Time, busy bool, drainTime time.Duration) bool {
	switch {
	case u.since.IsZero():
		return false
	case busy:
		u.quiet = time.Time{}
	case u.quiet.IsZero():
		u.quiet = now
	}
	return now.Sub(u.since) >= drainTime || !u.quiet.IsZero() && now.Sub(u.quiet) >= quietTime
}

// delist begins or ends the draining of a comet that is known by the list alone. The
// caller holds mu.
func (f *fleet) delist(c *comet, listed bool) {
	f.setDraining(c, causeUnlisted, !listed)
	if listed {
		c.unlisted = unlisted{}
	} else if c.unlisted.since.IsZero() {
		c.unlisted.since = time.Now()
	}
	f.retire(c)
}

// retire lets go of a comet that the list has lost, once it is down or was left. The
// caller holds mu.
func (f *fleet) retire(c *comet) {
	if !slices.Contains(c.drains, causeUnlisted) {
		return
	}
	if c.is(Down) || c.unlisted.over(time.Now(), c.load.busy.Load() > 0, f.conf().DrainTime+drainGrace) {
		f.transition(c, eventGone, causeUnlisted)
	}
}
