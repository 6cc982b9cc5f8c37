package load

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// run is one run. Its methods are spread over the files by phase.
type run struct {
	// fixed
	cfg    Config
	dialer *dialer
	marks  *marks
	rooms  []*room
	// freezer is the channel that only frozen clients are subscribed to.
	freezer string
	meter   *meter
	server  *process // nil when no process was named
	self    *process // nil where there is no /proc

	// owned by Run
	publishers []*publisher
	clients    []*session // those that came in

	// counted by all
	waiting  atomic.Int64 // connects that the server holds
	replies  atomic.Int64 // to publishes
	worstLag atomic.Int64 // nanoseconds
	goodbye  atomic.Bool  // the clients leave: that a session ends is no failure
	readers  sync.WaitGroup

	mu      sync.Mutex
	gone    map[string]int // clients that did not come in or did not stay, by reason; guarded by mu
	refused map[string]int // publishes, by error; guarded by mu
}

// errPublisher begins what ends a run early: without its publishers it measures nothing.
var errPublisher = errors.New("a publisher failed")

// Run does a run and tells what was measured. That clients or messages were lost is
// told in the report, and is no error; that a publisher was lost, or ctx has ended, is one.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	r, err := prepare(ctx, cfg)
	if err != nil {
		return nil, err
	}
	report := r.newReport()
	if err := r.readMemory(&report.Memory.BeforeBytes); err != nil {
		return nil, err
	}
	living, end := context.WithCancelCause(ctx)
	defer r.readers.Wait()
	defer end(nil)
	if err := r.phases(living, end, report); err != nil {
		if cause := context.Cause(living); cause != nil {
			err = cause
		}
		return nil, err
	}
	r.say("clients say goodbye")
	r.leave(ctx, end)
	r.readers.Wait()
	r.conclude(report)
	return report, nil
}

// prepare makes everything that needs no server.
func prepare(ctx context.Context, cfg Config) (*run, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	u, err := cfg.target()
	if err != nil {
		return nil, err
	}
	if free, known := openFiles(); known {
		if err := cfg.fits(free); err != nil {
			return nil, err
		}
	}
	name := newRun()
	r := &run{
		cfg: cfg,
		dialer: &dialer{
			target: u, trust: trusting(cfg.TLS, u), token: cfg.Token, timeout: cfg.Timeout,
			spread: loopbackHost(ctx, u), frozen: cfg.Clients + cfg.Publishers,
		},
		marks: newMarks(name, cfg.Size),
		meter: newMeter(),
		gone:  map[string]int{}, refused: map[string]int{},
	}
	r.freezer = "/load/" + name + "/frozen"
	for i := range cfg.Rooms {
		r.rooms = append(r.rooms, newRoom(name, i, cfg.Window))
	}
	if cfg.PID > 0 {
		if runtime.GOOS != "linux" {
			return nil, fmt.Errorf("process %d: memory and processor time are read from /proc, which is Linux'", cfg.PID)
		}
		if r.server, err = openProcess(cfg.PID); err != nil {
			return nil, err
		}
	}
	if self, err := openProcess(selfPID()); err == nil {
		r.self = self
	}
	return r, nil
}

func (r *run) phases(ctx context.Context, end context.CancelCauseFunc, report *Report) error {
	r.say("%d clients come over %s", r.cfg.Clients, r.cfg.Transport)
	begun := r.now()
	if err := r.enter(ctx, end); err != nil {
		return err
	}
	report.Connected, report.OpenSeconds = len(r.clients), (r.now() - begun).Seconds()
	// Also of use without a memory to read: in a cloud the other servers hear meanwhile
	// of what is subscribed to.
	if err := r.settle(ctx); err != nil {
		return err
	}
	if err := r.readMemory(&report.Memory.IdleBytes); err != nil {
		return err
	}
	for i := range r.cfg.Waves {
		if err := r.wave(ctx, i+1, report); err != nil {
			return err
		}
	}
	if r.cfg.Duration > 0 {
		return r.measure(ctx, end, report)
	}
	return nil
}

// now is the run's clock.
func (r *run) now() time.Duration { return time.Since(r.marks.begin) }

func (r *run) say(format string, args ...any) {
	if r.cfg.Log != nil {
		r.cfg.Log(fmt.Sprintf(format, args...))
	}
}

// pause waits; it is an error when ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *run) settle(ctx context.Context) error { return pause(ctx, r.cfg.Settle) }

func (r *run) readMemory(into *int64) (err error) {
	if r.server != nil {
		if *into, err = r.server.resident(); err != nil {
			return fmt.Errorf("the server's memory: %w", err)
		}
	}
	return nil
}

// lose counts a client that did not come in or did not stay.
func (r *run) lose(err error) {
	reason := reasonOf(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone[reason]++
}

// reasonOf is the text of an error without the client's own address, which differs
// from client to client.
func reasonOf(err error) string {
	text := err.Error()
	at := strings.Index(text, "->")
	if at < 0 {
		return text
	}
	from := strings.LastIndexByte(text[:at], ' ')
	return text[:from+1] + text[at+2:]
}

// late keeps the worst lag of the publishers behind their clock.
func (r *run) late(by time.Duration) {
	for {
		worst := r.worstLag.Load()
		if int64(by) <= worst || r.worstLag.CompareAndSwap(worst, int64(by)) {
			return
		}
	}
}
