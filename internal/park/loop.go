package park

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Handler is told what has happened to a socket of a [Loop].
//
// Ready is called in the loop's goroutine and must not wait. Events are reported once,
// when they come (edges): who is told of Readable reads until ErrAgain, or until less
// came than there was room for; who is told of Hangup reads until the end. It may come
// for nothing. After Close, Abort or Release it is not called any more.
type Handler interface{ Ready(s *Sock, e Events) }

// ErrNoLoop is the error of Adopt and Dial where sockets cannot be in a loop: not on
// this system, not this kind of connection, or the loop does not run. The connection is
// as it was, for a goroutine to serve.
var ErrNoLoop = errors.New("park: no loop for this connection")

// Loops is a fixed number of loops, which share the sockets of a program.
type Loops struct {
	// fixed after construction
	loops []*Loop

	// safe for any goroutine
	turn atomic.Uint32
}

// NewLoops makes n loops; n below 1 means one for each processor (GOMAXPROCS). It
// starts nothing.
func NewLoops(n int) *Loops {
	if n < 1 {
		n = runtime.GOMAXPROCS(0)
	}
	ls := &Loops{}
	for range n {
		ls.loops = append(ls.loops, newLoop())
	}
	return ls
}

// Run runs the loops, until ctx ends; then the handlers of all sockets are told so
// (Hangup and Ended), and what they have not closed is closed. It is to be called once.
func (ls *Loops) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(ls.loops))
	var running sync.WaitGroup
	for i, l := range ls.loops {
		running.Go(func() {
			errs[i] = l.run(ctx)
			cancel() // one cannot go on without the others: their sockets are shared out
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// Next is a loop for the next socket, one after the other. What belongs together must
// be in one.
func (ls *Loops) Next() *Loop { return ls.loops[int(ls.turn.Add(1))%len(ls.loops)] }

// All are the loops, to be read only.
func (ls *Loops) All() []*Loop { return ls.loops }

// posts are the calls that other goroutines have left for a loop.
type posts struct {
	mu sync.Mutex
	// guarded by mu
	calls []func()
	spare []func()
	open  bool // the loop runs

	// safe for any goroutine
	some atomic.Bool // there are calls, and the loop was woken for them
}

// run makes the calls.
func (p *posts) run() {
	if !p.some.Load() {
		return
	}
	p.mu.Lock()
	calls := p.calls
	p.calls, p.spare = p.spare[:0], nil
	p.some.Store(false)
	p.mu.Unlock()
	for _, call := range calls {
		call()
	}
	clear(calls)
	if cap(calls) > maxSpare {
		calls = nil
	}
	p.mu.Lock()
	p.spare = calls[:0]
	p.mu.Unlock()
}

// maxSpare is how many calls there is room for while none is left.
const maxSpare = 1024

// Post has a call made in the loop's goroutine, where all else about its sockets
// happens. It may be called from any goroutine. False means that the loop does not run
// and that the call will not be made. One that was taken is, be it at the end of Run.
func (l *Loop) Post(call func()) bool {
	p := &l.posts
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.open {
		return false
	}
	p.calls = append(p.calls, call)
	if !p.some.Swap(true) {
		l.wake()
	}
	return true
}

// Scratch is a buffer of 64 KiB for whoever is called by the loop, until he returns.
func (l *Loop) Scratch() []byte { return l.scratch }

// Now is the time at which the loop was woken last: near enough for deadlines.
func (l *Loop) Now() time.Time { return l.now }
