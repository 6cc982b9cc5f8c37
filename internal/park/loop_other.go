//go:build !linux

package park

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Loop takes no sockets on this system.
type Loop struct {
	posts    posts
	scratch  []byte
	began    time.Time
	now      time.Time
	timeouts []*Timeouts
}

func newLoop() *Loop { return new(Loop) }

func (l *Loop) run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (l *Loop) wake() {}

func (l *Loop) alarm(time.Duration) {}

// Adopt fails.
func (l *Loop) Adopt(*Sock, *net.TCPConn, Handler) error { return ErrNoLoop }

// Dial fails.
func (l *Loop) Dial(*Sock, netip.AddrPort, Handler) error { return ErrNoLoop }

// Sock is never open on this system.
type Sock struct {
	handler    Handler
	in         *Timeouts
	prev, next *Sock
	due        time.Duration
}

// Loop is nil.
func (s *Sock) Loop() *Loop { return nil }

// Open is false.
func (s *Sock) Open() bool { return false }

// Err is that of Dial.
func (s *Sock) Err() error { return ErrNoLoop }

// Read fails.
func (s *Sock) Read([]byte) (int, error) { return 0, net.ErrClosed }

// Write fails.
func (s *Sock) Write([]byte) (int, error) { return 0, net.ErrClosed }

// Quiet is false.
func (s *Sock) Quiet() bool { return false }

// Pending is false.
func (s *Sock) Pending() bool { return false }

// Control fails.
func (s *Sock) Control(func(fd uintptr)) error { return net.ErrClosed }

// CloseWrite fails.
func (s *Sock) CloseWrite() error { return net.ErrClosed }

// Close does nothing.
func (s *Sock) Close() {}

// Abort does nothing.
func (s *Sock) Abort() {}

// Release fails.
func (s *Sock) Release() (net.Conn, error) { return nil, net.ErrClosed }
