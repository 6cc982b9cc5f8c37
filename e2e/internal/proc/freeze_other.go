//go:build !linux

package proc

import "syscall"

// Freeze stops the process by SIGSTOP.
func (p *Process) Freeze() { p.Signal(syscall.SIGSTOP) }
