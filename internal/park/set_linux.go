package park

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Set is a set of connections that wait. They are all in one epoll set of its own,
// which waits in that of the Go runtime.
type Set struct {
	mu sync.Mutex
	// Guarded by mu.
	epoll syscall.RawConn // nil while Run does not run
	ended bool            // Run has ended
	slots []*Conn         // what is armed
	free  []int32         // slots without a Conn
	turn  int32           // counts armings, so that an event of an older one is known
}

// New makes a Set.
func New() *Set { return &Set{} }

// Run wakes connections until ctx ends. It fails at once if the system has no epoll
// set to give. It is to be called once.
func (s *Set) Run(ctx context.Context) error {
	defer s.wakeAll() // after the set is closed
	file, err := newSet()
	if err != nil {
		return fmt.Errorf("park: %w", err)
	}
	defer file.Close()
	raw, err := file.SyscallConn()
	if err != nil {
		return fmt.Errorf("park: %w", err)
	}
	s.begin(raw)
	stop := context.AfterFunc(ctx, func() { file.Close() })
	defer stop()
	events := make([]unix.EpollEvent, 128)
	for {
		n := 0
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			n, failed = unix.EpollWait(int(fd), events, 0)
			return n > 0 || failed != nil && !errors.Is(failed, syscall.EINTR)
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("park: %w", err)
		case failed != nil:
			return fmt.Errorf("park: epoll: %w", failed)
		}
		for _, e := range events[:n] {
			if w := s.take(e.Fd, e.Pad); w != nil {
				w.Woken(happened(e.Events))
			}
		}
	}
}

func newSet() (*os.File, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return os.NewFile(uintptr(fd), "epoll"), nil
}

// begin puts what was armed before Run into the set.
func (s *Set) begin(epoll syscall.RawConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoll = epoll
	for slot, c := range s.slots {
		if c != nil {
			s.registerLocked(c, int32(slot))
		}
	}
}

// registerLocked tells the system what c waits for. Under the lock, since of two
// armings the later must be told last. When that fails c is woken.
func (s *Set) registerLocked(c *Conn, slot int32) {
	if s.epoll == nil {
		return // until Run
	}
	o := calls.Get().(*call)
	defer o.done()
	o.raw = c.raw
	o.event = unix.EpollEvent{Events: wanted(c.events), Fd: slot, Pad: c.turn}
	if err := s.epoll.Control(o.enter); err != nil || o.err != nil {
		w := s.takeLocked(slot, c.turn)
		go w.Woken(Hangup)
	}
}

// wakeAll is the end of Run.
func (s *Set) wakeAll() {
	s.mu.Lock()
	s.epoll, s.ended = nil, true
	var left []Waker
	for slot, c := range s.slots {
		if c != nil {
			left = append(left, s.takeLocked(int32(slot), c.turn))
		}
	}
	s.mu.Unlock()
	for _, w := range left {
		w.Woken(Hangup | Ended)
	}
}

// enterLocked arms c in a slot of its own.
func (s *Set) enterLocked(c *Conn, e Events, w Waker) {
	if c.waker == nil {
		if n := len(s.free); n > 0 {
			c.slot, s.free = s.free[n-1], s.free[:n-1]
			s.slots[c.slot] = c
		} else {
			c.slot = int32(len(s.slots))
			s.slots = append(s.slots, c)
		}
	}
	s.turn++
	c.turn, c.events, c.waker = s.turn, e, w
}

func (s *Set) take(slot, turn int32) Waker {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeLocked(slot, turn)
}

// takeLocked disarms what was armed in the slot at that turn; nil when it has been
// disarmed, or armed anew, since.
func (s *Set) takeLocked(slot, turn int32) Waker {
	c := s.slots[slot]
	if c == nil || c.turn != turn {
		return nil
	}
	w := c.waker
	c.waker = nil
	s.slots[slot] = nil
	s.free = append(s.free, slot)
	return w
}

// Watch watches a connection until it hangs up, when gone is called once, or until
// cancel is; gone may still be running when cancel returns. One that has hung up
// already is noticed too. A connection is watched or armed once at a time. One of TLS
// is watched by the socket that carries it; what has no socket is not watched.
//
// For those that wait in a goroutine of their own. gone must not wait.
func (s *Set) Watch(conn net.Conn, gone func()) (cancel func()) {
	if carried, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = carried.NetConn()
	}
	sys, ok := conn.(syscall.Conn)
	if !ok {
		return func() {}
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return func() {}
	}
	w := &watch{Conn{set: s, raw: raw}, gone}
	w.Arm(Hangup, w)
	return func() { w.Disarm() }
}

type watch struct {
	Conn
	gone func()
}

func (w *watch) Woken(e Events) {
	if e&Ended == 0 {
		w.gone()
	}
}
