package load

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// wave publishes one message to each room and waits until each client has it and
// waits again, then reads the memory.
func (r *run) wave(ctx context.Context, n int, report *Report) error {
	r.say("wave %d", n)
	begun := r.now()
	for _, p := range r.publishers {
		for _, to := range p.rooms {
			if err := p.publish(to); err != nil {
				return fmt.Errorf("wave %d: %w: %w", n, errPublisher, err)
			}
		}
	}
	w := Wave{}
	for w.Answered = false; !w.Answered && r.now()-begun < r.cfg.Timeout; w.Answered = r.rested() {
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	w.Seconds = (r.now() - begun).Seconds()
	if r.server != nil {
		if err := r.settle(ctx); err != nil {
			return err
		}
		if err := r.readMemory(&w.Bytes); err != nil {
			return err
		}
	}
	report.Memory.Waves = append(report.Memory.Waves, w)
	return nil
}

// rested says whether all clients have all messages, and all sessions wait.
func (r *run) rested() bool {
	sessions := int64(len(r.publishers))
	for _, to := range r.rooms {
		if all, _ := to.settled(to.published.Load() - 1); !all {
			return false
		}
		sessions += int64(to.members.Load())
	}
	return r.waiting.Load() >= sessions
}

// moment is what is counted at one moment.
type moment struct {
	at                 time.Duration
	deliveries         int64
	published          int64
	serverCPU, toolCPU time.Duration
}

func (r *run) moment() (m moment, err error) {
	c := r.meter.total()
	m = moment{at: r.now(), deliveries: c.first + c.doubled}
	for _, to := range r.rooms {
		m.published += to.published.Load()
	}
	if r.self != nil {
		if m.toolCPU, err = r.self.cpu(); err != nil {
			return m, fmt.Errorf("this process: %w", err)
		}
	}
	if r.server != nil {
		if m.serverCPU, err = r.server.cpu(); err != nil {
			return m, fmt.Errorf("the server's processor time: %w", err)
		}
	}
	return m, nil
}

// measure publishes, first to warm up, then measured, and waits for what is on its way.
func (r *run) measure(ctx context.Context, end context.CancelCauseFunc, report *Report) error {
	publishing, stop := context.WithCancel(ctx)
	var loops sync.WaitGroup
	defer loops.Wait()
	defer stop()
	r.publish(publishing, &loops, end)
	if r.cfg.WarmUp > 0 {
		r.say("warm-up for %v", r.cfg.WarmUp)
	}
	if err := pause(ctx, r.cfg.WarmUp); err != nil {
		return err
	}
	r.say("measuring for %v", r.cfg.Duration)
	r.worstLag.Store(0)
	before, err := r.moment()
	if err != nil {
		return err
	}
	r.meter.measure(before.at, before.at+r.cfg.Duration)
	if err := pause(ctx, r.cfg.Duration); err != nil {
		return err
	}
	after, err := r.moment()
	if err != nil {
		return err
	}
	if err := r.readMemory(&report.Memory.BusyBytes); err != nil {
		return err
	}
	lag := time.Duration(r.worstLag.Load())
	stop()
	loops.Wait()
	if err := r.drain(ctx); err != nil {
		return err
	}
	report.Measured = r.between(before, after, lag)
	return nil
}

// publish starts the loops of the publishers. A failed one ends the run.
func (r *run) publish(ctx context.Context, loops *sync.WaitGroup, end context.CancelCauseFunc) {
	loop := func(f func() error) {
		loops.Go(func() {
			if err := f(); err != nil && ctx.Err() == nil {
				end(fmt.Errorf("%w: %w", errPublisher, err))
			}
		})
	}
	interval := time.Duration(float64(len(r.publishers)) * float64(time.Second) / r.cfg.Rate)
	begin := r.now()
	for i, p := range r.publishers {
		if r.cfg.Window == 0 {
			first := begin + interval*time.Duration(i)/time.Duration(len(r.publishers))
			loop(func() error { return p.pace(ctx, first, interval) })
			continue
		}
		for _, to := range p.rooms {
			loop(func() error { return p.cycle(ctx, to, r.cfg.Window) })
		}
	}
}

// drain waits until everything has come, or nothing more comes for a fifth of the
// timeout.
func (r *run) drain(ctx context.Context) error {
	r.say("waiting for what is on its way")
	last, since := int64(-1), r.now()
	for {
		n := r.meter.total().first
		if n != last {
			last, since = n, r.now()
		}
		if n >= r.expected() || r.now()-since > r.cfg.Timeout/5 {
			return nil
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// expected is how many deliveries there will be if no client is gone.
func (r *run) expected() (n int64) {
	for i, to := range r.rooms {
		to.mu.Lock()
		taken := to.published.Load() - int64(len(to.refused))
		to.mu.Unlock()
		members := (len(r.clients) + len(r.rooms) - 1 - i) / len(r.rooms)
		n += taken * int64(members)
	}
	return n
}
