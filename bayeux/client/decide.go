package client

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/halleycomet/halley/bayeux"
)

// step is what a client does next.
type step int

const (
	stepConnect   step = iota // send /meta/connect
	stepHandshake             // forget the session and handshake
	stepStop                  // end Run
)

// Reason says why a step was chosen; it is what the log says.
type Reason string

const (
	ReasonAnswered     Reason = "answered"      // a successful reply
	ReasonAdvised      Reason = "advised"       // by the advice of an unsuccessful reply
	ReasonUnknown      Reason = "unknown"       // the server does not know the session
	ReasonRefused      Reason = "refused"       // an unsuccessful reply without advice
	ReasonBroken       Reason = "broken"        // the connection broke, or gave no answer in time
	ReasonUnreachable  Reason = "unreachable"   // it could not be made
	ReasonDisconnected Reason = "disconnected"  // the server ended the session
	ReasonNoTransport  Reason = "no_transport"  // nothing in common
	ReasonBadHandshake Reason = "bad_handshake" // successful, but without a clientId
)

// decision is the next step, after a pause. Err says what went wrong, nil when
// nothing did.
type decision struct {
	step   step
	delay  time.Duration
	reason Reason
	err    error
}

// LaterDelay is the least pause after a close code that asks for patience.
const LaterDelay = time.Second

// The advice of a server that gave none: CometD's clients have the same.
const (
	defaultHold     = 60 * time.Second
	defaultInterval = 0
)

// pacing decides pauses.
type pacing struct {
	min, max time.Duration
	// random returns a duration in [0, n).
	random func(n time.Duration) time.Duration
}

func newPacing(cfg *Config) pacing {
	return pacing{min: cfg.BackoffMin, max: cfg.BackoffMax, random: func(n time.Duration) time.Duration {
		return rand.N(n)
	}}
}

// backoff is the pause after the n-th failure in a row; none before the first.
func (p pacing) backoff(n int) time.Duration {
	if n <= 0 {
		return 0
	}
	d := p.min
	for ; n > 1 && d < p.max; n-- {
		d *= 2
	}
	d = min(d, p.max)
	half := d / 2
	return half + p.random(d-half)
}

func (p pacing) afterError(s step, err error, failures int) decision {
	if errors.Is(err, ErrServerDisconnect) {
		return decision{step: stepStop, reason: ReasonDisconnected, err: err}
	}
	d := decision{step: s, delay: p.backoff(failures + 1), reason: ReasonBroken, err: err}
	var dial *dialError
	if errors.As(err, &dial) {
		d.reason = ReasonUnreachable
	}
	var closed *CloseError
	if errors.As(err, &closed) && closed.Later() && d.delay < LaterDelay {
		d.delay = LaterDelay + p.random(LaterDelay)
	}
	return d
}

// afterHandshake decides what follows a handshake reply (err == nil) or its
// failure. failures counts the failed attempts since the last success.
func (p pacing) afterHandshake(r *Reply, err error, failures int) decision {
	if err != nil {
		return p.afterError(stepHandshake, err, failures)
	}
	advice := adviceOf(r)
	if r.Successful {
		switch {
		case advice.Reconnect == bayeux.ReconnectNone:
			return decision{step: stepStop, reason: ReasonAdvised, err: ErrAdvisedNone}
		case r.ClientID == "":
			err := fmt.Errorf("%w: handshake reply without clientId", ErrProtocol)
			return decision{stepHandshake, p.backoff(failures + 1), ReasonBadHandshake, err}
		}
		return decision{step: stepConnect, reason: ReasonAnswered}
	}
	if advice.Reconnect == bayeux.ReconnectNone {
		return decision{step: stepStop, reason: ReasonAdvised, err: fmt.Errorf("%w: %w", ErrAdvisedNone, r.Err())}
	}
	reason := ReasonRefused
	if r.Advice != "" {
		reason = ReasonAdvised
	}
	return decision{stepHandshake, advice.Interval + p.backoff(failures+1), reason, r.Err()}
}

// afterConnect decides what follows a connect reply or its failure.
func (p pacing) afterConnect(r *Reply, err error, failures int) decision {
	if err != nil {
		return p.afterError(stepConnect, err, failures)
	}
	advice := adviceOf(r)
	if r.Successful {
		if advice.Reconnect == bayeux.ReconnectNone {
			// This is how a connect is answered whose session the server ended.
			return decision{step: stepStop, reason: ReasonDisconnected, err: ErrServerDisconnect}
		}
		return decision{step: stepConnect, delay: advice.Interval, reason: ReasonAnswered}
	}
	switch unknown := strings.HasPrefix(r.Error, "402:"); {
	case advice.Reconnect == bayeux.ReconnectNone:
		return decision{step: stepStop, reason: ReasonAdvised, err: fmt.Errorf("%w: %w", ErrAdvisedNone, r.Err())}
	case advice.Reconnect == bayeux.ReconnectHandshake, unknown && advice.Reconnect == "":
		// At once after the advised interval: the server paces it. Only when the
		// last session did not come to a single connect, something is amiss.
		reason := ReasonAdvised
		if unknown {
			reason = ReasonUnknown
		}
		return decision{stepHandshake, advice.Interval + p.backoff(failures), reason, r.Err()}
	case r.Advice != "":
		return decision{stepConnect, advice.Interval + p.backoff(failures+1), ReasonAdvised, r.Err()}
	}
	return decision{stepConnect, p.backoff(failures + 1), ReasonRefused, r.Err()}
}

// adviceOf reads the advice of a reply, with the defaults for what it leaves out.
func adviceOf(r *Reply) bayeux.Advice {
	a, _ := bayeux.ParseAdvice(r.Advice)
	if a.Interval < 0 {
		a.Interval = defaultInterval
	}
	if a.Timeout < 0 {
		a.Timeout = defaultHold
	}
	return a
}

// fallback is what a WebSocket that did not open says about the next handshake.
type fallback int

const (
	fallbackNone fallback = iota // try the same again
	fallbackOnce                 // another transport for this handshake
	fallbackGood                 // another transport for good
)

// afterDial decides it. CometD's clients leave the WebSocket for good whenever
// it did not open at first; a server that is not there, or a gateway that has
// no server at the moment, says nothing of WebSockets though, so here only a
// plain refusal counts for good. A WebSocket that has opened once is kept, as
// with CometD's stickyReconnect.
func afterDial(err error, openedBefore bool) fallback {
	var dial *dialError
	if openedBefore || !errors.As(err, &dial) || !dial.reached {
		return fallbackNone
	}
	if IsCertificateError(err) {
		return fallbackNone // long-polling would meet the same certificate
	}
	var status *StatusError
	if errors.As(err, &status) {
		switch status.Status {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		default:
			return fallbackGood
		}
	}
	return fallbackOnce
}
