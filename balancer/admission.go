package balancer

import (
	"errors"
	"fmt"
	"time"
)

// Admission bounds the pace of new sessions, and what a client may take. All limits are
// those of one balancer; several in front of the same comets admit as much each.
type Admission struct {
	// HandshakeBurst is how much of [Config.HandshakeRate] is saved up while nothing
	// comes: 1 s lets a second's worth of handshakes through at once after a pause.
	// Default 250 ms.
	HandshakeBurst time.Duration

	// HandshakeWait is how long a handshake, or an upgrade of the Bayeux path (which
	// has one inside), waits for its turn. One that would wait longer is answered at
	// once, in Bayeux, with the advice to come back at a time that keeps the pace. So
	// at most this times the rate wait. Default 2 s.
	HandshakeWait time.Duration

	// HandshakeRatePrefix is how many handshakes and upgrades per second one network of
	// clients may begin; a network is as large as [Routing] has it for routing, one
	// IPv4 address or one IPv6 /64 by default. Many clients can be behind one
	// address: companies, mobile networks, proxies that are not in
	// [Config.TrustedProxies]. Default 0, which is no limit.
	HandshakeRatePrefix int

	// RequestsPerIP is how many requests per second one address may send (of IPv6, one
	// network of [Routing.IPPrefix6] bits); twice as many at once after a pause. What is more is answered at once: in Bayeux with the advice
	// to retry, on other paths with 429 and Retry-After. What was said of addresses
	// above counts here even more. Default 0, which is no limit.
	RequestsPerIP int `setting:"requests-per-ip"`

	// MaxConns bounds the connections of all clients. In front of it, those that rest
	// are closed, the longest idle first; when none rests, a new one is closed at once.
	// Default 0: as many as leave a file descriptor for a connection to a comet for each
	// (half of what the process may open, less 100).
	MaxConns int

	// MaxConnsPerIP bounds the connections of one address, likewise; a new one beyond it is closed
	// at once. [Config.TrustedProxies] are not bounded. A browser opens about six, and
	// one for a WebSocket. Default 0, which is no limit.
	MaxConnsPerIP int
}

// DefaultAdmission returns the defaults that the fields name.
func DefaultAdmission() Admission {
	return Admission{HandshakeBurst: 250 * time.Millisecond, HandshakeWait: 2 * time.Second}
}

func (a *Admission) validate() error {
	var errs []error
	for _, d := range []struct {
		setting string
		value   time.Duration
		most    time.Duration
	}{
		{"handshake-burst", a.HandshakeBurst, time.Minute},
		{"handshake-wait", a.HandshakeWait, time.Minute},
	} {
		if d.value < 0 || d.value > d.most {
			errs = append(errs, fmt.Errorf("%s: %v is not from 0 to %v", d.setting, d.value, d.most))
		}
	}
	for _, n := range []struct {
		setting string
		value   int
	}{
		{"handshake-rate-prefix", a.HandshakeRatePrefix},
		{"requests-per-ip", a.RequestsPerIP},
		{"max-conns", a.MaxConns},
		{"max-conns-per-ip", a.MaxConnsPerIP},
	} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("%s: %d is below zero", n.setting, n.value))
		}
	}
	if a.MaxConns > 0 && a.MaxConnsPerIP > a.MaxConns {
		errs = append(errs, fmt.Errorf("max-conns-per-ip: %d is above max-conns %d", a.MaxConnsPerIP, a.MaxConns))
	}
	return errors.Join(errs...)
}
