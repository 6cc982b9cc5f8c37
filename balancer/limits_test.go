package balancer

import (
	"strings"
	"testing"
	"time"
)

// Each limit that makes no sense is named, and those that only look odd are taken.
func TestLimitsAreChecked(t *testing.T) {
	for _, setting := range []struct {
		name string
		of   func(*Limits) *time.Duration
		zero bool // it may be
	}{
		{"read-timeout", func(l *Limits) *time.Duration { return &l.ReadTimeout }, false},
		{"write-timeout", func(l *Limits) *time.Duration { return &l.WriteTimeout }, false},
		{"idle-timeout", func(l *Limits) *time.Duration { return &l.IdleTimeout }, false},
		{"dial-timeout", func(l *Limits) *time.Duration { return &l.DialTimeout }, false},
		{"redial", func(l *Limits) *time.Duration { return &l.Redial }, false},
		{"connect-timeout", func(l *Limits) *time.Duration { return &l.ConnectTimeout }, false},
		{"upstream-timeout", func(l *Limits) *time.Duration { return &l.UpstreamTimeout }, false},
		{"retry-min", func(l *Limits) *time.Duration { return &l.RetryMin }, false},
		{"max-idle-time", func(l *Limits) *time.Duration { return &l.MaxIdleTime }, false},
		{"queue-time", func(l *Limits) *time.Duration { return &l.QueueTime }, false},
		{"hold", func(l *Limits) *time.Duration { return &l.Hold }, true},
	} {
		for value, fine := range map[time.Duration]bool{-1: false, 0: setting.zero, 1: true} {
			l := DefaultLimits()
			*setting.of(&l) = value
			if err := l.validate(); (err == nil) != fine || err != nil && !strings.Contains(err.Error(), setting.name+": ") {
				t.Errorf("%s of %d: %v", setting.name, value, err)
			}
		}
	}
	for _, setting := range []struct {
		name string
		of   func(*Limits) *int
		zero bool
	}{
		{"max-body", func(l *Limits) *int { return &l.MaxBody }, false},
		{"max-idle", func(l *Limits) *int { return &l.MaxIdle }, true},
		{"comet-max-conns", func(l *Limits) *int { return &l.Comet.MaxConns }, true},
		{"comet-max-held", func(l *Limits) *int { return &l.Comet.MaxHeld }, true},
		{"comet-max-waiting", func(l *Limits) *int { return &l.Comet.MaxWaiting }, true},
		{"comet-max-queue", func(l *Limits) *int { return &l.Comet.MaxQueue }, true},
	} {
		for value, fine := range map[int]bool{-1: false, 0: setting.zero, 1: true} {
			l := DefaultLimits()
			*setting.of(&l) = value
			if err := l.validate(); (err == nil) != fine || err != nil && !strings.Contains(err.Error(), setting.name+": ") {
				t.Errorf("%s of %d: %v", setting.name, value, err)
			}
		}
	}
	l := DefaultLimits()
	if l.RetryMax = l.RetryMin; l.validate() != nil {
		t.Error("retry-max may be retry-min")
	}
	if l.RetryMax--; l.validate() == nil || !strings.Contains(l.validate().Error(), "retry-max: ") {
		t.Error("retry-max may be below retry-min")
	}
}
