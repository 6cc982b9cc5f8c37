package oort

import (
	"errors"
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/halleycomet/halley/bayeux/client"
)

// A comet that the configuration names and that is not joined may be one whose URL
// is misspelt, which nobody but the operator can know: so it is logged.
const (
	// apartPatience is how long such a comet may take, at its start or a restart,
	// before a word is said; and the least time between two lines.
	apartPatience = 5 * time.Second
	// apartEvery is how often the same is said again.
	apartEvery = time.Minute
)

// telling is what was logged of a link and when.
type telling struct {
	at   time.Time // zero: nothing
	kind string
}

// reached reports whether nothing is missing: the comet is joined, by this link or
// by another.
func (s State) reached() bool { return s == Joined || s == Duplicate }

// tell decides whether to say now that a comet is not joined, for a reason of this
// kind, and after what time to look again.
func (t telling) tell(now, apart time.Time, kind string) (say bool, again time.Duration) {
	if d := apartPatience - now.Sub(apart); d > 0 {
		return false, d
	}
	if t.at.IsZero() {
		return true, apartPatience
	}
	wait := apartEvery
	if kind != t.kind {
		wait = apartPatience
	}
	if d := wait - now.Sub(t.at); d > 0 {
		// The reason may change before that.
		return false, min(d, apartPatience)
	}
	return true, apartPatience
}

// tellApart logs a configured comet that is not joined, and tells after what time to
// look again (0: never). The lock is held.
func (c *Cloud) tellApart(l *link, now time.Time) time.Duration {
	if !l.static || l.state == Closed || l.state.reached() {
		return 0
	}
	why := l.obstacle()
	kind := kindOf(why)
	say, again := l.told.tell(now, l.apart, kind)
	if say {
		l.told = telling{at: now, kind: kind}
		c.log.Warn("a configured comet is not joined; tried on", zap.String("url", l.url),
			zap.Duration("since", now.Sub(l.apart).Round(time.Second)), zap.Error(why))
	}
	return again
}

// obstacle is what keeps the link from being joined. The lock is held.
func (l *link) obstacle() error {
	switch {
	case l.state == Handshaken && l.peerID == "":
		return errors.New("a Bayeux server that is no Oort comet")
	case l.state == Handshaken:
		return fmt.Errorf("it has not linked back to %s", l.cloud.me.url)
	case l.state == Joining:
		return errors.New("it has not taken the join")
	case l.failed != nil:
		return l.failed
	}
	return errors.New("no answer yet")
}

// kindOf leaves the addresses of a connection out of an error: their ports are
// others at each attempt.
func kindOf(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// onRetry keeps why an attempt failed. A certificate that is not trusted mends itself
// for no link, configured or not, so that is said of each, once for as long as it lasts.
func (l *link) onRetry(err error) {
	l.cloud.mu.Lock()
	defer l.cloud.mu.Unlock()
	before := client.IsCertificateError(l.failed)
	if client.IsCertificateError(err) && !before {
		l.cloud.log.Warn("the certificate of a comet is not trusted, so there is no link to it; tried on",
			zap.String("url", l.url), zap.Error(err))
	}
	l.failed = err
}
