package testenv

import (
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TakeFiles takes all file descriptors that the process may open, until it is called
// back or the test ends. What is closed meanwhile can be opened again by whoever comes
// first.
func TakeFiles(tb testing.TB) (back func()) {
	tb.Helper()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		tb.Fatal(err)
	}
	var taken []int
	take := func() bool {
		fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
		if err == nil {
			taken = append(taken, fd)
		}
		return err == nil
	}
	back = func() {
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &was) // what it was is allowed
		for _, fd := range taken {
			unix.Close(fd)
		}
		taken = nil
	}
	tb.Cleanup(back)
	// What is open is to be below the limit: else its end would give room to nobody.
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Fatal(err)
	}
	last := 0
	for _, e := range open {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			last = max(last, n)
		}
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(last + 1), Max: was.Max}); err != nil {
		tb.Fatal(err)
	}
	for take() {
	}
	return back
}
