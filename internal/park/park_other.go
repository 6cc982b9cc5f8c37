//go:build !linux

package park

import (
	"context"
	"net"
)

// Set parks nothing on this system.
type Set struct{}

// New makes a Set.
func New() *Set { return &Set{} }

// Run waits for the end of ctx.
func (*Set) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Watch never calls gone.
func (*Set) Watch(net.Conn, func()) (cancel func()) { return func() {} }

// Conn is always false.
func (*Set) Conn(net.Conn) (*Conn, bool) { return nil, false }

// Conn is never made on this system.
type Conn struct{}

// Arm is never called.
func (*Conn) Arm(Events, Waker) {}

// Disarm is never called.
func (*Conn) Disarm() bool { return false }

// Left is never called.
func (*Conn) Left() bool { return false }

// TryRead is never called.
func (*Conn) TryRead([]byte) (int, error) { return 0, ErrAgain }

// TryWrite is never called.
func (*Conn) TryWrite([]byte) (int, error) { return 0, ErrAgain }
