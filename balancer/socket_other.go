//go:build !linux

package balancer

import "syscall"

// quiet cannot be asked here: a connection that was closed is noticed when it is
// used, and what was written to it counts as sent.
func quiet(syscall.RawConn) bool { return true }

// bytesAcked is not known here.
func bytesAcked(syscall.RawConn) (n uint64, known bool) { return 0, false }

func bytesAckedFd(uintptr) (n uint64, known bool) { return 0, false }
