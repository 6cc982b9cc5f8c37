package balancer

import (
	"fmt"
	"slices"
	"strings"
)

// drain has all comets of a name left because the admin says so: no new sessions go there
// any more, and onDrain is told. It stays so when the comet restarts.
func (f *fleet) drain(name string) error {
	known := false
	f.update(func() {
		for _, c := range f.comets {
			if c.name == name {
				known = true
				f.setDraining(c, causeAdmin, true)
			}
		}
		if known {
			f.drained[name] = true
		}
	})
	if !known {
		return fmt.Errorf("drain: no comet is called %q", name)
	}
	return nil
}

// undrain takes back what drain did. The error says why the comet drains all the same, if
// it does.
func (f *fleet) undrain(name string) error {
	var known, was bool
	var still []string
	f.update(func() {
		was = f.drained[name]
		delete(f.drained, name)
		for _, c := range f.comets {
			if c.name != name {
				continue
			}
			known = true
			f.setDraining(c, causeAdmin, false)
			for _, other := range c.drains {
				still = append(still, string(other))
			}
		}
	})
	switch {
	case !known && !was:
		return fmt.Errorf("undrain: no comet is called %q", name)
	case len(still) > 0:
		return fmt.Errorf("undrain: %s drains still: %s", name, strings.Join(still, ", "))
	}
	return nil
}

// setDraining adds or removes a reason to leave a comet. The caller holds mu.
func (f *fleet) setDraining(c *comet, why cause, is bool) {
	i := slices.Index(c.drains, why)
	if is == (i >= 0) {
		return
	}
	if is {
		c.drains = append(c.drains, why)
		f.transition(c, eventDrain, why)
		return
	}
	if c.drains = slices.Delete(c.drains, i, i+1); len(c.drains) == 0 {
		back := causeUndrained
		if why == causeGoodbye {
			back = causeBack
		}
		f.transition(c, eventUndrain, back)
	}
}
