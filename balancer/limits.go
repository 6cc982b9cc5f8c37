package balancer

import (
	"errors"
	"fmt"
	"time"
)

// Limits bound what a request may cost and how long it may take.
type Limits struct {
	// MaxBody is the largest body of a request under [Config.Path], in bytes: such
	// bodies are kept whole, because they decide the route and may have to be sent
	// again. Other paths have no limit, they are streamed. Default 1 MiB.
	MaxBody int

	// ReadTimeout bounds the reading of a request's headers, and under
	// [Config.Path] of its body; on other paths it bounds the silence within the
	// body until the answer begins. Read at the start only. Default 10 s.
	ReadTimeout time.Duration `reload:"restart"`

	// WriteTimeout bounds for how long a client may take nothing of its answer, and
	// either side of a WebSocket nothing of what the other sent. Read at the start
	// only. Default 30 s.
	WriteTimeout time.Duration `reload:"restart"`

	// IdleTimeout is how long a client's connection may stay without a request.
	// Read at the start only. Default 90 s, well above the interval between two polls.
	IdleTimeout time.Duration `reload:"restart"`

	// DialTimeout bounds one dial to a comet. Default 1 s.
	DialTimeout time.Duration

	// Redial is how long a comet whose connections hang is dialled again before it
	// counts as unreachable: sessions live through short blips, and moving a client
	// loses them. A refused dial ends it at once. Default 1 s.
	Redial time.Duration

	// ConnectTimeout bounds how long a comet may hold a /meta/connect. It must be
	// above the comets' timeout (CometD's and Halley's are at most 30 s by default)
	// and the slack of the network. It also bounds the silence within an answer that
	// is streamed: that of both sides together while the body of its request is too.
	// Default 2 min.
	ConnectTimeout time.Duration

	// UpstreamTimeout bounds how long a comet may be silent over any other request.
	// Default 30 s.
	UpstreamTimeout time.Duration

	// Hold is how long a request waits for a comet when none is healthy, before the
	// balancer answers it itself. Default 2 s.
	Hold time.Duration

	// RetryMin and RetryMax bound the interval in the balancer's advice to come back
	// later; each answer draws its own. Defaults 2 s and 5 s.
	RetryMin, RetryMax time.Duration

	// MaxIdle is how many idle connections are kept to one comet. Default 256.
	MaxIdle int

	// MaxIdleTime is how long an idle connection to a comet is kept. It should be
	// below the comet's own limit (Node's is 5 s). Default 4 s.
	MaxIdleTime time.Duration

	// Comet bounds what one comet is used for at a time.
	Comet CometLimits `prefix:"comet-"`

	// QueueTime is how long a request waits for room at its comet when that is at a
	// limit, before the balancer answers it itself. Below the time after which clients
	// give a request up (CometD's: 10 s beyond the timeout). Default 5 s.
	QueueTime time.Duration
}

// DefaultLimits returns the defaults that the fields name.
func DefaultLimits() Limits {
	return Limits{
		MaxBody:         1 << 20,
		ReadTimeout:     10 * time.Second,
		WriteTimeout:    30 * time.Second,
		IdleTimeout:     90 * time.Second,
		DialTimeout:     time.Second,
		Redial:          time.Second,
		ConnectTimeout:  2 * time.Minute,
		UpstreamTimeout: 30 * time.Second,
		Hold:            2 * time.Second,
		RetryMin:        2 * time.Second,
		RetryMax:        5 * time.Second,
		MaxIdle:         256,
		MaxIdleTime:     4 * time.Second,
		Comet:           CometLimits{MaxQueue: 1024},
		QueueTime:       5 * time.Second,
	}
}

func (l *Limits) validate() error {
	var errs []error
	bad := func(setting, format string, args ...any) {
		errs = append(errs, fmt.Errorf(setting+": "+format, args...))
	}
	for _, d := range []struct {
		setting string
		value   time.Duration
	}{
		{"read-timeout", l.ReadTimeout},
		{"write-timeout", l.WriteTimeout},
		{"idle-timeout", l.IdleTimeout},
		{"dial-timeout", l.DialTimeout},
		{"redial", l.Redial},
		{"connect-timeout", l.ConnectTimeout},
		{"upstream-timeout", l.UpstreamTimeout},
		{"retry-min", l.RetryMin},
		{"max-idle-time", l.MaxIdleTime},
		{"queue-time", l.QueueTime},
	} {
		if d.value <= 0 {
			bad(d.setting, "%v is not above zero", d.value)
		}
	}
	if l.Hold < 0 {
		bad("hold", "%v is below zero", l.Hold)
	}
	if l.RetryMax < l.RetryMin {
		bad("retry-max", "%v is below retry-min %v", l.RetryMax, l.RetryMin)
	}
	if l.MaxBody <= 0 {
		bad("max-body", "%d is not above zero", l.MaxBody)
	}
	if l.MaxIdle < 0 {
		bad("max-idle", "%d is below zero", l.MaxIdle)
	}
	errs = append(errs, l.Comet.validate())
	return errors.Join(errs...)
}
