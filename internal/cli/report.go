package cli

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
)

// Report collects what is wrong with settings that each could be read, each mistake
// under the name and the source of its setting. Of one that could not be read it says
// nothing: what the variable holds is not what the user wrote.
type Report struct {
	settings *Settings
	errs     []error
	told     map[string]bool // settings of which an earlier check has complained
	entries  map[string]int  // how often an entry of a list was
}

// NewReport begins a report of these settings.
func NewReport(s *Settings) *Report {
	return &Report{settings: s, told: make(map[string]bool), entries: make(map[string]int)}
}

// Err is all that was reported, or nil.
func (r *Report) Err() error { return errors.Join(r.errs...) }

// Add reports a mistake in a setting; nil is none.
func (r *Report) Add(setting string, err error) {
	if err != nil && !r.settings.unread(setting) {
		r.told[setting] = true
		r.errs = append(r.errs, r.fault(setting, err))
	}
}

// fault names the setting, and of a list in the file the line of the entry that is
// wrong: of one that stands there more than once, each time another, and the last where
// just that is the mistake.
func (r *Report) fault(setting string, err error) error {
	return r.settings.faultAt(setting, err, func(entry string, err error) int {
		if strings.HasSuffix(err.Error(), " twice") {
			return math.MaxInt
		}
		key := setting + "\x00" + entry
		r.entries[key]++
		return r.entries[key] - 1
	})
}

// Needed reports a setting that has no value, with what it is needed for.
func (r *Report) Needed(setting, what string) {
	if !r.settings.unread(setting) {
		r.told[setting] = true
		r.errs = append(r.errs, fmt.Errorf("--%s is needed: %s", setting, what))
	}
}

// Addr reports an address that is not HOST:PORT or :PORT.
func (r *Report) Addr(setting, addr string) { r.Add(setting, checkAddr(addr)) }

// Missing reports a secret that is not there, with what it is needed for.
func (r *Report) Missing(variable string, needed []string) {
	r.errs = append(r.errs, fmt.Errorf("%s: missing, and needed since not loopback: %s", variable, strings.Join(needed, ", ")))
}

// All adds what a Validate has found, one mistake a line, each beginning with the
// name of a field, which names translates; one that does not is about the same as the
// one before. A setting of which an earlier check has complained is not told of twice.
func (r *Report) All(err error, names map[string]string) {
	if err == nil {
		return
	}
	told := make(map[string]bool)
	last := ""
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "cluster: ")
		field, what, _ := strings.Cut(line, ": ")
		setting, ok := names[field]
		switch {
		case ok:
		case r.settings.find(field) == nil && last != "":
			setting, what = last, line
		default:
			setting = field
		}
		last = setting
		if !r.told[setting] && !r.settings.unread(setting) {
			r.errs = append(r.errs, r.fault(setting, errors.New(what)))
			told[setting] = true
		}
	}
	for setting := range told {
		r.told[setting] = true
	}
}

func checkAddr(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT or :PORT", addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q: port %q is not 0 to 65535", addr, port)
	}
	return nil
}
