package balancer

import (
	"math/rand/v2"
	"time"
)

const (
	// calmHerd is the window below which there is no herd to spread: a few clients
	// handshake at once.
	calmHerd = 100 * time.Millisecond
	// maxHerd bounds the window, whatever the load was said to be.
	maxHerd = time.Minute
)

// handshakeInterval is after how long a client whose session is lost shall handshake.
// While no comet is healthy it is the interval to come back later: a handshake at once
// would only wait, and be sent away.
func (b *Balancer) handshakeInterval(owner *comet) time.Duration {
	if b.fleet.snapshot().takers() == 0 {
		return b.retryInterval()
	}
	return b.fleet.herdInterval(owner)
}

// herdInterval is after how long a client of a comet that is down shall handshake. The
// herd sets out when the comet goes down, or when there is somewhere to go again.
func (f *fleet) herdInterval(c *comet) time.Duration {
	at := c.downAt.Load()
	if at == 0 {
		return 0
	}
	s := f.snapshot()
	began := time.Unix(0, at)
	if s.revived.After(began) {
		began = s.revived
	}
	rate := f.conf().HandshakeRate * max(1, s.takers())
	return herdInterval(c.lost.Load(), rate, time.Since(began), rand.Float64())
}

// herdInterval spreads the clients that a comet lost, elapsed ago, over the time in
// which the others take them at rate handshakes per second. Those that come late
// share what is left of that time. u is drawn from [0,1).
func herdInterval(lost int64, rate int, elapsed time.Duration, u float64) time.Duration {
	seconds := float64(lost) / float64(rate)
	window := maxHerd
	if seconds < maxHerd.Seconds() {
		window = time.Duration(seconds * float64(time.Second))
	}
	if window < calmHerd {
		return 0
	}
	left := min(window, window-elapsed)
	if left <= 0 {
		return 0
	}
	return time.Duration(u * float64(left))
}
