package park

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Loop serves sockets in one goroutine: no lock is taken for what happens on them, and
// the system is told of each of them once. Its epoll set waits in that of the Go
// runtime, so that the goroutine costs no thread and takes its turn among all others.
//
// But for Post, everything about a loop and its sockets is to be done in its goroutine:
// in a Handler, or in a call that was posted.
type Loop struct {
	posts posts

	// owned by run
	file    *os.File // the epoll set
	epoll   int      // its descriptor
	waker   int      // eventfd
	slots   []*Sock
	free    []int32
	turn    int32
	scratch []byte
	began   time.Time
	now     time.Time

	timeouts []*Timeouts
	alarmAt  time.Duration // when run wakes by itself; 0: not

	spare spare
}

const scratchSize = 64 << 10

// wakerSlot is the slot of the waker in events.
const wakerSlot = -1

// batch is how many events are taken at a time, and greedy for how long a loop goes on
// with what comes before it lets other goroutines have a turn.
const (
	batch  = 256
	greedy = time.Millisecond
)

func newLoop() *Loop { return &Loop{waker: -1} }

func (l *Loop) open() (err error) {
	if l.file, err = newSet(); err != nil {
		return err
	}
	raw, err := l.file.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { l.epoll = int(fd) })
	}
	if err != nil {
		return err
	}
	if l.waker, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | edge, Fd: wakerSlot}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.waker, &ev); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	l.spare.fill()
	l.scratch = make([]byte, scratchSize)
	l.began = time.Now()
	l.now = l.began
	return nil
}

func (l *Loop) run(ctx context.Context) error {
	defer l.end()
	if err := l.open(); err != nil {
		return fmt.Errorf("park: loop: %w", err)
	}
	l.posts.mu.Lock()
	l.posts.open = true
	l.posts.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { l.Post(func() {}) })
	defer stop()
	raw, err := l.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("park: loop: %w", err)
	}

	events := make([]unix.EpollEvent, batch)
	n, yield := 0, false
	var failed error
	since := l.now // when others had a turn
	wait := func(fd uintptr) bool {
		if yield {
			yield = false
			l.wake() // the event with which the runtime gives the turn back
			return false
		}
		n, failed = epollNow(int(fd), events)
		if n == 0 {
			since = time.Time{}
		}
		return n > 0 || failed != nil
	}
	for ctx.Err() == nil {
		if since.IsZero() {
			since = l.now
		} else if l.now.Sub(since) > greedy {
			yield, since = true, time.Time{}
		}
		err := raw.Read(wait)
		l.now = time.Now()
		late := errors.Is(err, os.ErrDeadlineExceeded)
		switch {
		case late:
			n = 0
		case err != nil:
			return fmt.Errorf("park: loop: %w", err)
		case failed != nil:
			return fmt.Errorf("park: loop: epoll: %w", failed)
		}
		l.foresee(events[:n])
		for _, e := range events[:n] {
			l.event(e)
		}
		l.posts.run()
		if l.alarmAt > 0 && l.now.Sub(l.began) >= l.alarmAt {
			l.alarmAt = 0
			if next, some := l.sweep(); some {
				l.alarm(next)
			}
		}
		if late && l.alarmAt == 0 {
			_ = l.file.SetReadDeadline(time.Time{}) // it is open
		}
	}
	return nil
}

// foresee marks the sockets on which something is to be read, so that those that are
// told of what happened before know.
func (l *Loop) foresee(events []unix.EpollEvent) {
	for _, e := range events {
		if e.Fd == wakerSlot || e.Events&^unix.EPOLLOUT == 0 {
			continue
		}
		if s := l.slots[e.Fd]; s != nil && s.turn == e.Pad {
			s.pending = true
		}
	}
}

// event passes one on.
func (l *Loop) event(e unix.EpollEvent) {
	if e.Fd == wakerSlot {
		return // its edges are all that counts
	}
	s := l.slots[e.Fd]
	if s == nil || s.turn != e.Pad {
		return // of one that is closed
	}
	s.pending = false
	if s.dialing {
		if e.Events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
			return
		}
		s.dialing = false
		if s.err = socketError(s.fd); s.err != nil {
			s.handler.Ready(s, Hangup)
			return
		}
	}
	s.handler.Ready(s, happened(e.Events))
}

// alarm has the loop wake at a time after its beginning, if it would not before.
func (l *Loop) alarm(at time.Duration) {
	if l.alarmAt > 0 && l.alarmAt <= at {
		return
	}
	l.alarmAt = max(at, 1)
	_ = l.file.SetReadDeadline(l.began.Add(at)) // it is open
}

// wake is called by run, or under the lock of posts while they are open.
func (l *Loop) wake() { rawWake(l.waker) }

// end tells the handlers that are left, and closes everything.
func (l *Loop) end() {
	l.posts.run()
	for _, s := range l.slots {
		if s == nil {
			continue
		}
		s.handler.Ready(s, Hangup|Ended)
		s.Close()
	}
	for {
		l.posts.mu.Lock()
		if len(l.posts.calls) == 0 {
			l.posts.open = false
			l.posts.mu.Unlock()
			break
		}
		l.posts.mu.Unlock()
		l.posts.run()
	}
	if l.waker >= 0 {
		unix.Close(l.waker) // nobody wakes it any more
	}
	if l.file != nil {
		l.file.Close()
	}
	l.spare.end()
}

// enter gives a socket a slot and tells the system of it.
func (l *Loop) enter(s *Sock) error {
	if n := len(l.free); n > 0 {
		s.slot, l.free = l.free[n-1], l.free[:n-1]
	} else {
		s.slot = int32(len(l.slots))
		l.slots = append(l.slots, nil)
	}
	l.turn++
	s.turn = l.turn
	ev := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | edge,
		Fd:     s.slot, Pad: s.turn,
	}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, s.fd, &ev); err != nil {
		l.free = append(l.free, s.slot)
		return fmt.Errorf("epoll: %w", err)
	}
	l.slots[s.slot] = s
	return nil
}

const edge = unix.EPOLLET & 0xffffffff

func socketError(fd int) error {
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		return os.NewSyscallError("getsockopt", err)
	case code != 0:
		return os.NewSyscallError("connect", syscall.Errno(code))
	}
	return nil
}
