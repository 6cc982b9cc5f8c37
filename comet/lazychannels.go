package comet

import (
	"fmt"
	"strings"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// wait is how long a message may wait for others, 0 when it is not lazy; preset is
// for channels without a time of their own.
func (f flags) wait(preset time.Duration) time.Duration {
	switch {
	case !f.lazy:
		return 0
	case f.lazyTimeout > 0:
		return f.lazyTimeout
	}
	return max(0, preset)
}

// parseLazy reads CHANNEL or CHANNEL=TIMEOUT.
func parseLazy(text string) (name string, timeout time.Duration, err error) {
	name, after, given := strings.Cut(text, "=")
	if !bayeux.ValidChannel(name) || bayeux.KindOf(name) != bayeux.Broadcast {
		return "", 0, fmt.Errorf("%q is no broadcast channel or pattern", name)
	}
	if given {
		if timeout, err = time.ParseDuration(after); err != nil || timeout < time.Millisecond {
			return "", 0, fmt.Errorf("%q is not a time like 500ms", after)
		}
	}
	return bayeux.CleanChannel(name), timeout, nil
}
