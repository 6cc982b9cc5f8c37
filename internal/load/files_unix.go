//go:build unix

package load

import (
	"os"

	"golang.org/x/sys/unix"
)

// openFiles tells how many more files this process may open. Go has raised the
// soft limit to the hard one when it began.
func openFiles() (int, bool) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return 0, false
	}
	open, err := os.ReadDir("/dev/fd")
	if err != nil {
		return int(limit.Cur), true
	}
	return int(limit.Cur) - len(open), true
}
