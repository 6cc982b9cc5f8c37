//go:build !unix

package comet

import "time"

func cpuTime() time.Duration { return 0 }
func resident() int64        { return 0 }
