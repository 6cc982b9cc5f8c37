package cluster

import (
	"context"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap/zapcore"
)

const (
	// maxTargets bounds the addresses of the join list, and likewise the lost ones,
	// dialled in one round; which ones is left to chance, so each has its turn.
	maxTargets = 16
	// firstRetry is the pause of a node that knows nobody, doubled up to
	// Config.RejoinInterval.
	firstRetry = 100 * time.Millisecond
)

// rejoiner looks for nodes without end: for those of the join list, and for members
// that were lost. It belongs to one goroutine.
type rejoiner struct {
	// Fixed after construction.
	cfg    *Config
	own    netip.AddrPort // where this node is bound
	self   string         // where others reach it
	view   func() *View
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	dial   func(addr string) error
	synced func() // called after each round that found somebody, or found nobody to look for
	logs   *logs

	// Owned by the goroutine of run.
	reached   []string             // dialled with success in the round before
	strangers map[string]time.Time // reached, yet no member's address: until when to leave alone
	lastLost  []string             // the lost members of the round before
	away      map[string]bool      // missing, of whom the log tells already
}

// run dials until ctx ends.
func (r *rejoiner) run(ctx context.Context) {
	r.strangers = make(map[string]time.Time)
	for pause := firstRetry; ; {
		if r.round(ctx) {
			pause = r.cfg.RejoinInterval
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		pause = min(2*pause, r.cfg.RejoinInterval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// round dials everybody who is missing once, and reports whether this node has
// company now, or nobody to look for.
func (r *rejoiner) round(ctx context.Context) bool {
	seeds, resolved := r.resolve(ctx)
	view := r.view()
	live, lost := view.liveAddrs(), view.lost()
	live[r.self] = true
	r.noteStrangers(live, lost)
	chosen := targets(r.known(seeds), lost, live)
	maps.DeleteFunc(r.away, func(addr string, _ bool) bool {
		return live[addr] || !slices.Contains(seeds, addr) && !slices.Contains(lost, addr)
	})
	r.reached = r.dialAll(ctx, chosen, len(live) == 1)
	if len(r.reached) > 0 || resolved && len(chosen) == 0 {
		r.synced()
		return true
	}
	return len(live) > 1
}

// noteStrangers finds out which of the addresses reached in the last round are no
// member's, and forgets all that when somebody was lost: it may be a seed that is
// dialled by one address and advertises another.
func (r *rejoiner) noteStrangers(live map[string]bool, lost []string) {
	for _, addr := range r.reached {
		if !live[addr] {
			r.strangers[addr] = time.Now().Add(r.cfg.SyncInterval)
		}
	}
	if !slices.Equal(lost, r.lastLost) {
		clear(r.strangers)
		r.lastLost = lost
	}
}

// known leaves out the addresses that were reached lately although no member
// advertises them: those of nodes behind address translation. Each dial costs them
// a full exchange of state.
func (r *rejoiner) known(seeds []string) []string {
	now := time.Now()
	return slices.DeleteFunc(seeds, func(addr string) bool { return now.Before(r.strangers[addr]) })
}

// targets chooses whom to dial: the missing of the join list, then of the lost.
func targets(seeds, lost []string, live map[string]bool) []string {
	var chosen []string
	for _, from := range [][]string{seeds, lost} {
		var missing []string
		for _, addr := range from {
			if !live[addr] && !slices.Contains(missing, addr) && !slices.Contains(chosen, addr) {
				missing = append(missing, addr)
			}
		}
		rand.Shuffle(len(missing), func(i, j int) { missing[i], missing[j] = missing[j], missing[i] })
		chosen = append(chosen, missing[:min(len(missing), maxTargets)]...)
	}
	return chosen
}

// dialAll dials all at once and returns those that answered. A node that is alone says
// each time why it is.
func (r *rejoiner) dialAll(ctx context.Context, addrs []string, alone bool) []string {
	var (
		wg     sync.WaitGroup
		slots  = make(chan struct{}, maxTargets)
		errs   = make([]error, len(addrs))
		joined []string
	)
	for i, addr := range addrs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if errs[i] = ctx.Err(); errs[i] == nil {
				errs[i] = r.dial(addr)
			}
		})
	}
	wg.Wait()
	for i, addr := range addrs {
		switch {
		case errs[i] == nil:
			r.logs.count.joins.Add(1)
			joined = append(joined, addr)
		case ctx.Err() == nil:
			r.logs.count.joinFailures.Add(1)
			r.tell(addr, errs[i], alone)
		}
	}
	return joined
}

// tell tells that one could not be reached: of a node that is away while others are
// there only once, until it has been back.
func (r *rejoiner) tell(addr string, err error, alone bool) {
	if alone {
		r.logs.line(lineJoin, zapcore.WarnLevel, "could not join yet, trying again: "+err.Error())
		return
	}
	level := zapcore.InfoLevel
	if r.away[addr] {
		level = zapcore.DebugLevel
	}
	if r.away == nil {
		r.away = make(map[string]bool)
	}
	r.away[addr] = true
	r.logs.line(lineJoin, level, "a node that is missing does not answer, and is tried again and again: "+err.Error())
}

// resolve turns the join list into addresses other than this node's own, and
// reports whether every name was resolved.
func (r *rejoiner) resolve(ctx context.Context) (addrs []string, ok bool) {
	ok = true
	mine := r.mine()
	for _, entry := range r.cfg.Join {
		host, port, err := splitAddr(entry, 1)
		if err != nil {
			continue // Validate has refused it
		}
		ips, err := r.addresses(ctx, host)
		if err != nil {
			if ctx.Err() == nil {
				r.logs.count.joinFailures.Add(1)
				r.logs.line(lineJoin, zapcore.WarnLevel, "could not join yet, trying again: "+err.Error())
			}
			ok = false
			continue
		}
		for _, ip := range ips {
			at := netip.AddrPortFrom(ip.Unmap(), uint16(port))
			if at.String() != r.self && !mine(at) {
				addrs = append(addrs, at.String())
			}
		}
	}
	return addrs, ok
}

func (r *rejoiner) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.StreamTimeout)
	defer cancel()
	return r.lookup(ctx, host)
}

// mine returns a test for addresses at which this node itself listens.
func (r *rejoiner) mine() func(netip.AddrPort) bool {
	if !r.own.Addr().IsUnspecified() {
		return func(at netip.AddrPort) bool { return at == r.own }
	}
	// An error leaves the list empty, and this node dials itself in vain.
	local, _ := net.InterfaceAddrs()
	return func(at netip.AddrPort) bool {
		return at.Port() == r.own.Port() && slices.ContainsFunc(local, func(a net.Addr) bool {
			prefix, err := netip.ParsePrefix(a.String())
			return err == nil && prefix.Addr().Unmap() == at.Addr()
		})
	}
}
