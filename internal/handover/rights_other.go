//go:build !unix

package handover

import (
	"errors"
	"os"
)

var errNoRights = errors.New("descriptors cannot be passed on this system")

func unixRights([]int) []byte { return nil }

func rightsSpace(int) int { return 0 }

func readRights([]byte) ([]*os.File, error) { return nil, errNoRights }
