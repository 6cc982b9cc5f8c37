//go:build !linux

package park

import (
	"context"
	"net"
)

// Watcher watches nothing on this system.
type Watcher struct{}

// New makes a Watcher.
func New() *Watcher { return &Watcher{} }

// Run waits for the end of ctx.
func (*Watcher) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Watch never calls gone.
func (*Watcher) Watch(net.Conn, func()) (cancel func()) { return func() {} }
