//go:build !linux

package comet

import "net"

// hangups watches nothing here: that a client has gone is noticed when its answer
// is written.
type hangups struct{}

func newHangups() *hangups                            { return &hangups{} }
func (*hangups) open() error                          { return nil }
func (*hangups) run()                                 {}
func (*hangups) close()                               {}
func (*hangups) add(net.Conn, func()) (forget func()) { return func() {} }
