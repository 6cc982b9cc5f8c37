// Package accept keeps a server alive that has no room for another connection at the
// moment: no file descriptor, or no memory in the system. fasthttp takes the first
// such error of a listener for its end, and a server that ends because many clients
// came takes all those along that it has.
package accept

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	// minPause and maxPause bound the time after which it is tried again. It doubles
	// with each failure in a row. The connections that come meanwhile wait in the
	// system's queue.
	minPause = 5 * time.Millisecond
	maxPause = 200 * time.Millisecond
)

// Listener is a listener whose Accept fails only when it will go on failing.
type Listener struct {
	net.Listener
	// Fixed after construction.
	failed func(error)
	closed chan struct{}
	close  func() error
}

// Patiently makes one. failed is told each passing failure, before the pause that
// follows it: it is to make room, or to warn, which should not be once each time.
func Patiently(ln net.Listener, failed func(error)) *Listener {
	l := &Listener{Listener: ln, failed: failed, closed: make(chan struct{})}
	l.close = sync.OnceValue(func() error {
		close(l.closed)
		return ln.Close()
	})
	return l
}

// Accept waits for a connection.
func (l *Listener) Accept() (net.Conn, error) {
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		conn, err := l.Listener.Accept()
		if err == nil || !passes(err) {
			return conn, err
		}
		l.failed(err)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-l.closed:
			timer.Stop()
			return nil, net.ErrClosed
		}
	}
}

// Close closes the listener, and ends a pause.
func (l *Listener) Close() error { return l.close() }

// passes tells whether an error of Accept says nothing about the next call.
func passes(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
