package balancer

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// Outliers says what requests find out about comets, beside the checks, and how much of
// a fleet may be left out for evidence that proves nothing. A refused connection is
// proof, and nothing here holds for it.
type Outliers struct {
	// PassiveFailures is how many clients must meet with a failure of one comet within
	// PassiveWindow for the comet to come under suspicion: connections that hang or
	// break, answers that cannot be read or do not come in time, statuses 500 and 502
	// to 504. A client counts once, and those of one address are at most half of them.
	// A comet under suspicion is checked at once. Default 5; 0 is off.
	PassiveFailures int

	// PassiveWindow is the time within which they count. Default 10 s.
	PassiveWindow time.Duration

	// MaxEjected is the part of the fleet, in percent and rounded up to at least one
	// comet, that may be down at a time because checks fail or connections hang, and
	// under suspicion for what clients met with. The rest is spared: when so many fail
	// at once it may be this balancer's own network that does. A comet that is spared
	// is suspect instead of down, and keeps its sessions. Default 50.
	MaxEjected int
}

// DefaultOutliers returns the defaults that the fields name.
func DefaultOutliers() Outliers {
	return Outliers{PassiveFailures: 5, PassiveWindow: 10 * time.Second, MaxEjected: 50}
}

// maxPassiveFailures bounds how many clients are remembered for each comet.
const maxPassiveFailures = 100

func (o *Outliers) validate() error {
	var errs []error
	bad := func(setting, format string, args ...any) {
		errs = append(errs, fmt.Errorf(setting+": "+format, args...))
	}
	if o.PassiveFailures < 0 || o.PassiveFailures > maxPassiveFailures {
		bad("passive-failures", "%d is not from 0 to %d", o.PassiveFailures, maxPassiveFailures)
	}
	if o.PassiveWindow <= 0 {
		bad("passive-window", "%v is not above zero", o.PassiveWindow)
	}
	if o.MaxEjected < 0 || o.MaxEjected > 100 {
		bad("max-ejected", "%d is not from 0 to 100 percent", o.MaxEjected)
	}
	return errors.Join(errs...)
}

// most is how many of n comets may be left out at a time.
func (o *Outliers) most(n int) int { return max(1, (n*o.MaxEjected+99)/100) }

// proves reports whether what brought a comet down leaves no doubt that its process is
// gone. All other causes may be the fault of this balancer's network.
func (w cause) proves() bool { return w == causeRefused }

// standing is how many comets there are beside one, and how many of them are left out
// for evidence that proves nothing. Those that drain, that were never well, or whose
// process is gone for certain are not counted.
type standing struct {
	comets, down, doubted int
}

func (f *fleet) standing(but *comet) (s standing) {
	for _, c := range f.comets {
		if c == but || c.cond.draining {
			continue
		}
		switch c.cond.base {
		case Healthy:
		case Suspect:
			s.doubted++
		case Down:
			if c.certain {
				continue
			}
			s.down++
			s.doubted++
		default:
			continue
		}
		s.comets++
	}
	return s
}

// temper decides what becomes of an event that would leave a comet out: nothing, if it
// has failed alone or for certain; when too many are left out already, one that is to
// go down comes under suspicion, and one that is to come under suspicion for what
// clients met with does not. The caller holds mu.
func (f *fleet) temper(c *comet, e event, why cause) (tempered event, happens bool) {
	wasWell := c.cond.base == Healthy || c.cond.base == Suspect
	if !wasWell || c.cond.draining || why.proves() {
		return e, true
	}
	s, o := f.standing(c), &f.conf().Outliers
	most := o.most(s.comets + 1)
	switch {
	case e == eventFails && s.down >= most:
		f.spare(c, why, s.down)
		return eventDoubt, true
	case e == eventDoubt && why == causePassive && c.cond.base == Healthy && s.doubted >= most:
		f.spare(c, why, s.doubted)
		return e, false
	}
	return e, true
}

// spare counts an event that was not let happen, and logs the first of a row.
func (f *fleet) spare(c *comet, why cause, out int) {
	c.counts.add(f.metrics.spared, string(why))
	if c.spared.Swap(true) {
		return
	}
	f.log.Warn("comet spared: too many fail at once", zap.String("comet", c.name), zap.String("addr", c.Addr),
		zap.String("reason", string(why)), zap.Int("left_out", out))
}
