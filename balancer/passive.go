package balancer

import (
	"net/netip"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
)

// fault is what a request found wrong with a comet; the metric label.
type fault string

const (
	// faultDial: a connection hung, or could not be made. (One that is refused needs no
	// further evidence.)
	faultDial fault = "dial"
	// faultReset: a connection that was new broke before an answer came.
	faultReset fault = "reset"
	// faultBroken: the answer broke, or was none.
	faultBroken fault = "broken"
	// faultTimeout: no answer came in time.
	faultTimeout fault = "timeout"
	// faultStatus: the answer was 500, 502, 503 or 504.
	faultStatus fault = "status"
)

// faultOf tells what a failed request says of the comet; empty when nothing.
//
// An idle connection that turns out closed is none: comets close them when they like.
// Neither is what a client breaks off, or the balancer; nor how a WebSocket ends, which
// nobody asks here. What pages meet with, beyond that no connection can be made, says
// more of the pages.
func faultOf(s stage, k kind, reused bool) fault {
	if s == stageDialTimeout || s == stageUnreachable {
		return faultDial
	}
	if k != kindBayeux {
		return ""
	}
	switch s {
	case stageUnsent, stageSent:
		if !reused {
			return faultReset
		}
	case stageAnswering:
		return faultBroken
	case stageTimeout:
		return faultTimeout
	}
	return ""
}

// faultOfStatus is the same of an answer. The 500 of a /meta/connect is none: with it
// CometD's server ends one that was superseded by another
// (duplicateMetaConnectHttpResponseCode, 500 by default; 408 in older ones).
func faultOfStatus(status int, k kind, held bool) fault {
	if k != kindBayeux {
		return ""
	}
	switch status {
	case fasthttp.StatusInternalServerError:
		if held {
			return ""
		}
		return faultStatus
	case fasthttp.StatusBadGateway, fasthttp.StatusServiceUnavailable, fasthttp.StatusGatewayTimeout:
		return faultStatus
	}
	return ""
}

// witness is a client that met with a fault: its address, and its session or, without
// one, nothing. It counts once.
type witness struct {
	ip      netip.Addr
	session uint64
}

func (r *request) witness() witness {
	w := witness{ip: r.ip}
	if r.clientID != "" {
		w.session = hashString(r.clientID)
	}
	return w
}

// evidence is who met with faults of one comet lately.
type evidence struct {
	mu sync.Mutex
	// Guarded by mu.
	seen []sighting // by time
}

type sighting struct {
	witness
	at time.Time
}

// add takes a witness into account, and reports whether there are enough of them now. It
// begins anew then. Those of one address are at most half of them: whoever names many
// sessions is still one.
func (e *evidence) add(w witness, now time.Time, need int, window time.Duration) (enough bool) {
	if need <= 0 {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	kept, same := e.seen[:0], 0
	for _, s := range e.seen {
		if now.Sub(s.at) > window || s.witness == w {
			continue
		}
		if s.ip == w.ip {
			same++
		}
		kept = append(kept, s)
	}
	e.seen = kept
	if same >= max(1, need/2) {
		return false
	}
	e.seen = append(e.seen, sighting{w, now})
	if len(e.seen) < need {
		return false
	}
	e.seen = nil
	return true
}

// observe takes a fault that a request found into account. It costs nothing but on a
// fault, and may be called from any goroutine.
func (f *fleet) observe(c *comet, what fault, r *request) {
	if what == "" {
		return
	}
	c = c.living()
	c.counts.add(f.metrics.faults, string(what))
	o := &f.conf().Outliers
	if !c.lives() || !c.evidence.add(r.witness(), time.Now(), o.PassiveFailures, o.PassiveWindow) {
		return
	}
	f.update(func() {
		// Of one that is not healthy it is known already, and checks decide.
		if e, happens := f.temper(c, eventDoubt, causePassive); happens {
			f.transition(c, e, causePassive, zap.String("last", string(what)))
		}
	})
	c.checkNow()
}
