//go:build linux

package comet

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// hangups notices that a client whose connect is held has gone, which fasthttp
// does not while a handler waits. All watched connections are in one epoll set of
// our own, beside that of the Go runtime, which itself waits in the runtime's: it
// costs one goroutine and no thread. A client that only closed its sending half
// counts as gone.
type hangups struct {
	mu sync.Mutex
	// guarded by mu
	set  *os.File // the epoll set; nil while not open
	last uint64
	gone map[uint64]func()
}

func newHangups() *hangups { return &hangups{gone: make(map[uint64]func())} }

func (h *hangups) open() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return fmt.Errorf("epoll: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.set = os.NewFile(uintptr(fd), "epoll")
	return nil
}

func (h *hangups) file() *os.File {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.set
}

// run calls the functions of connections that hang up, until close.
func (h *hangups) run() {
	set := h.file()
	if set == nil {
		return
	}
	raw, err := set.SyscallConn()
	if err != nil {
		return
	}
	events := make([]unix.EpollEvent, 64)
	for {
		var n int
		err := raw.Read(func(fd uintptr) bool {
			n, err = unix.EpollWait(int(fd), events, 0)
			return n > 0 || err != nil && !errors.Is(err, syscall.EINTR)
		})
		if err != nil {
			return // closed
		}
		for _, e := range events[:max(n, 0)] {
			if gone := h.takeGone(token(e)); gone != nil {
				gone()
			}
		}
	}
}

func (h *hangups) close() {
	h.mu.Lock()
	set := h.set
	h.set = nil
	h.mu.Unlock()
	if set != nil {
		set.Close()
	}
}

// add watches a connection until it hangs up, when gone is called once, or forget
// is. A connection that is no plain TCP or Unix one is not watched.
func (h *hangups) add(conn net.Conn, gone func()) (forget func()) {
	sys, ok := conn.(syscall.Conn)
	if !ok {
		return func() {}
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return func() {}
	}
	h.mu.Lock()
	h.last++
	id := h.last
	h.gone[id] = gone
	h.mu.Unlock()
	h.control(raw, unix.EPOLL_CTL_ADD, id)
	return func() {
		h.control(raw, unix.EPOLL_CTL_DEL, id)
		h.takeGone(id)
	}
}

// control changes the set. A failure only means that a hang-up goes unnoticed.
func (h *hangups) control(raw syscall.RawConn, op int, id uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.set == nil {
		return
	}
	set, err := h.set.SyscallConn()
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

func (h *hangups) takeGone(id uint64) func() {
	h.mu.Lock()
	defer h.mu.Unlock()
	gone := h.gone[id]
	delete(h.gone, id)
	return gone
}

// token is the id that control put into the event.
func token(e unix.EpollEvent) uint64 { return uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32 }
