//go:build unix

package balancer

import "syscall"

// openFilesLimit is how many files the process may have open, 0 for any number. Go has
// raised the soft limit to the hard one when it began.
func openFilesLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return 0
	}
	return int(limit.Cur)
}
