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

// Watcher watches connections. They are all in one epoll set of its own, which waits
// in that of the Go runtime.
type Watcher struct {
	mu sync.Mutex
	// Guarded by mu.
	set     *os.File // the epoll set; nil while Run does not run
	last    uint64
	watched map[uint64]watched
}

type watched struct {
	raw  syscall.RawConn
	gone func()
}

// New makes a Watcher. What is watched before Run is watched from Run on.
func New() *Watcher { return &Watcher{watched: make(map[uint64]watched)} }

// Run calls the functions of connections that hang up, one after the other, until
// ctx ends. It fails at once if the system has no epoll set to give.
func (w *Watcher) Run(ctx context.Context) error {
	set, err := newSet()
	if err != nil {
		return fmt.Errorf("park: %w", err)
	}
	w.mu.Lock()
	w.set = set
	for id, c := range w.watched {
		w.control(c.raw, unix.EPOLL_CTL_ADD, id)
	}
	w.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { w.end(set) })
	defer stop()
	defer w.end(set)
	raw, err := set.SyscallConn()
	if err != nil {
		return nil // ended already
	}
	events := make([]unix.EpollEvent, 64)
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
			if c := w.take(token(e)); c.gone != nil {
				c.gone()
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

// end closes the set; more than once is harmless.
func (w *Watcher) end(set *os.File) {
	w.mu.Lock()
	w.set = nil
	w.mu.Unlock()
	set.Close()
}

// Watch watches a connection until it hangs up, when gone is called once, or until
// cancel is; gone may still be running when cancel returns. One that has hung up
// already is noticed too. A connection is watched once at a time. One that is no
// plain TCP or Unix socket is not watched.
//
// All watched connections share the goroutine that calls gone, so gone must not wait.
func (w *Watcher) Watch(conn net.Conn, gone func()) (cancel func()) {
	sys, ok := conn.(syscall.Conn)
	if !ok {
		return func() {}
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return func() {}
	}
	w.mu.Lock()
	w.last++
	id := w.last
	w.watched[id] = watched{raw, gone}
	w.control(raw, unix.EPOLL_CTL_ADD, id)
	w.mu.Unlock()
	return func() {
		w.mu.Lock()
		delete(w.watched, id)
		w.control(raw, unix.EPOLL_CTL_DEL, id)
		w.mu.Unlock()
	}
}

// control changes the set. A failure only means that a hang-up goes unnoticed. The
// caller holds mu.
func (w *Watcher) control(raw syscall.RawConn, op int, id uint64) {
	if w.set == nil {
		return
	}
	set, err := w.set.SyscallConn()
	if err != nil {
		return
	}
	_ = set.Control(func(epfd uintptr) {
		_ = raw.Control(func(fd uintptr) {
			event := unix.EpollEvent{Events: unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(id), Pad: int32(id >> 32)}
			_ = unix.EpollCtl(int(epfd), op, int(fd), &event)
		})
	})
}

func (w *Watcher) take(id uint64) watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.watched[id]
	delete(w.watched, id)
	return c
}

// token is the id that control put into the event.
func token(e unix.EpollEvent) uint64 { return uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32 }
