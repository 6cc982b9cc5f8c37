//go:build !linux

package handover

import "net"

// trusted leaves it to the mode of the file.
func trusted(*net.UnixConn) error { return nil }
