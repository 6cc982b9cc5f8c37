package balancer

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"
)

// checkResult is how a check ended; the metric label.
type checkResult string

const (
	checkOK      checkResult = "ok"
	checkRefused checkResult = "refused" // nothing listens there
	checkFailed  checkResult = "failed"  // no answer in time, or none of a Bayeux server
)

// health is what is remembered of a comet's checks and of what the gossip says.
type health struct {
	fails, oks int    // checks in a row
	failure    string // what was wrong with the last one; empty when it was well
	givenUp    bool   // the gossip holds it for dead

	// Against comets that come and go: how often in a row the comet has failed soon
	// after it was well, since when it was well last, and until when it is not taken
	// for well again.
	relapses   int
	well, wait time.Time
}

const (
	// steady is for how long a comet must have been well for a failure to be its first.
	steady = time.Minute
	// maxWait bounds for how long a comet must answer that has failed too often.
	maxWait = time.Minute
)

// waitAfter is for how long a comet must answer before it is well again: at once at
// first, then 2 s, 4 s, 8 s and so on.
func waitAfter(relapses int) time.Duration {
	if relapses < 2 {
		return 0
	}
	return min(maxWait, time.Second<<min(relapses-1, 10))
}

// entered is told that the comet's base state changes. What counts towards the end of
// one state does not count towards that of the next, but for failures: the check that
// brought a comet under suspicion is the first of those that bring it down.
func (h *health) entered(from, to State, now time.Time) {
	if from == to {
		return
	}
	switch {
	case to == Healthy:
		h.well = now
	case from == Healthy && now.Sub(h.well) < steady:
		h.relapses++
		h.wait = now.Add(waitAfter(h.relapses))
	case from == Healthy:
		h.relapses = 0
	}
	h.oks = 0
	if to != Suspect {
		h.fails = 0
	}
}

// judge takes the result of a check of a comet with base state s into account. When
// happens is set, that is what follows.
func (h *health) judge(s State, r checkResult, fall, rise int, now time.Time) (e event, why cause, happens bool) {
	if r == checkOK {
		h.fails = 0
		h.oks++
		if (s == Down || s == Suspect) && h.oks < rise {
			return 0, "", false
		}
		if (s == Down || s == Suspect) && now.Before(h.wait) {
			return eventWavers, causeWavers, true
		}
		return eventAnswers, causeAnswers, true
	}
	h.oks = 0
	h.fails++
	switch {
	case r == checkRefused:
		return eventFails, causeRefused, true
	case h.givenUp:
		return eventFails, causeGivenUp, true
	case s == Unknown, h.fails >= fall:
		return eventFails, causeSilent, true
	}
	return eventDoubt, causeCheck, true
}

// watch checks a comet until ctx ends: at once, then at intervals, or when woken.
func (f *fleet) watch(ctx context.Context, c *comet) {
	for {
		began := time.Now()
		result, err := f.check(ctx, c)
		if ctx.Err() != nil {
			return
		}
		f.metrics.checks.WithLabelValues(c.name, string(result)).Inc()
		c.load.age()
		pause := f.checkEnded(c, began, result, err)
		timer := time.NewTimer(jitter(pause))
		select {
		case <-timer.C:
		case <-c.wake:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// checkEnded draws the consequences of a check, and says when the next one is due.
func (f *fleet) checkEnded(c *comet, began time.Time, result checkResult, err error) (pause time.Duration) {
	cfg := f.conf()
	pause = cfg.CheckInterval
	f.update(func() {
		c.health.failure = failureOf(result, err)
		// Looking no more often bounds how often a comet can become full and open again.
		f.forgive(c)
		if !c.checked {
			c.checked, f.dirty = true, true
		}
		// A success that began before the comet was in doubt proves nothing.
		if result == checkOK && (c.is(Down) || c.is(Suspect)) && began.Before(c.since) {
			pause = cfg.RecheckInterval
			return
		}
		e, why, happens := c.health.judge(c.cond.base, result, cfg.Fall, cfg.Rise, time.Now())
		if happens {
			e, happens = f.temper(c, e, why)
		}
		if happens {
			f.transition(c, e, why, zap.Error(err))
		}
		f.retire(c)
		// One that the gossip has given up comes back as another incarnation, if at
		// all, and the gossip will say so: there is no hurry.
		doubted := c.cond.base == Down || c.cond.base == Suspect
		if (result != checkOK || doubted) && !(c.is(Down) && c.health.givenUp) {
			pause = cfg.RecheckInterval
		}
	})
	if c.limits.waiters.Load() > 0 {
		c.limits.handOver() // the limits may be others now
	}
	return pause
}

// failureOf says in short what was wrong with a check.
func failureOf(result checkResult, err error) string {
	if result == checkOK || err == nil {
		return ""
	}
	if at := (*url.Error)(nil); errors.As(err, &at) {
		err = at.Err // the address is known
	}
	return strings.TrimPrefix(err.Error(), "check: ")
}

// jitter moves d by up to a tenth, so that several balancers, and the checks of
// several comets, do not fall into step.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}
