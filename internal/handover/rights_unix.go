//go:build unix

package handover

import (
	"fmt"
	"os"
	"syscall"
)

func unixRights(fds []int) []byte { return syscall.UnixRights(fds...) }

func rightsSpace(n int) int { return syscall.CmsgSpace(4 * n) }

// readRights takes the descriptors of a message. They are closed on exec already: so
// the net package receives them.
func readRights(oob []byte) (files []*os.File, err error) {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("descriptors: %w", err)
	}
	for i := range messages {
		fds, err := syscall.ParseUnixRights(&messages[i])
		if err != nil {
			return files, fmt.Errorf("descriptors: %w", err)
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "handover"))
		}
	}
	return files, nil
}
