package proc

import "syscall"

// attributes make a process die with a test binary that was killed or has panicked.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
