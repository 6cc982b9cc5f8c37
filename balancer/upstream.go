package balancer

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/halleycomet/halley/internal/chunk"
)

// upstream holds the connections to one comet. Idle ones are used newest first, so
// that few are in use and the rest grow old and are closed; each is looked at
// before it is used again, since a comet may have closed it meanwhile.
//
// fasthttp's own client is not used for this: it gives no word on whether a byte of
// a failed request can have arrived, on which it depends whether a publish may be
// sent again.
type upstream struct {
	// Fixed after construction.
	addr string
	live *live
	dial func(from origin, timeout time.Duration) (opened, error)
	// certName is that of the comet's certificate; empty when it does not speak TLS.
	certName string

	// Safe for any goroutine.
	seen atomic.Pointer[seen] // the address that addr stands for; nil: not known
	kept atomic.Int32         // idle connections of the lanes

	mu sync.Mutex
	// Guarded by mu.
	idle    []*wire             // the longest idle first
	waiting map[*wire]*outgoing // those that wait for the first byte of an answer, and to what
	open    int                 // all connections, tunnels included
	closed  bool                // the comet was removed: nothing is kept any more
}

func newUpstream(addr string, live *live) *upstream {
	u := &upstream{addr: addr, live: live, waiting: make(map[*wire]*outgoing)}
	u.dial = func(from origin, timeout time.Duration) (opened, error) {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		return live.connector.open(ctx, u.addr, u.certName, from)
	}
	if to, err := netip.ParseAddrPort(addr); err == nil {
		u.seen.Store(&seen{addr: to})
	}
	return u
}

// limits are those of now.
func (u *upstream) limits() *Limits { return &u.live.conf().Limits }

// wire is one connection to a comet. It belongs to one request at a time.
type wire struct {
	up     *upstream
	from   origin // for whom it is
	conn   net.Conn
	src    *chunk.Source
	reused bool
	// sent counts the bytes handed to the kernel, before what it was when the present
	// request began; acked0 is what had been acknowledged when the connection was new
	// (the SYN may count as a byte).
	sent, before, acked0 uint64
	ackKnown             bool
	// sock is the socket, and ferry what counts there instead of sent, where the
	// connection is one of TLS; mark is what handed said when the request began.
	sock   syscall.RawConn
	ferry  *ferry
	mark   uint64
	ended  bool         // the comet has closed it
	cut    bool         // the request could not be written to its end
	broke  error        // because the client broke off
	upload *upload      // passes the body of the present request on; nil when there is none, or it ended
	held   bool         // it carries a poll that the comet may hold
	ahead  []byte       // what the lane has read of an answer, and nobody else yet
	first  *chunk.Chunk // the beginning of an answer, and how much of it was taken
	taken  int

	// Guarded by up.mu.
	idleSince time.Time
	woken     bool // while it waited, and why
	why       stage
	gone      bool // closed, and no longer ferry
}

// get returns a connection: the newest idle one that is still good, else a new one.
// With fresh set it dials. The stage of the failure is one of those of a dial.
// A connection serves no other origin than its own.
func (u *upstream) get(from origin, fresh bool, timeout time.Duration) (*wire, *failure) {
	for !fresh {
		w := u.takeIdle(from)
		if w == nil {
			break
		}
		if w.sock == nil || quiet(w.sock) {
			w.reused = true
			return w, nil
		}
		w.close()
	}
	most := u.limits().Comet.MaxConns
	u.mu.Lock()
	u.open++
	var spare *wire
	if most > 0 && u.open > most && len(u.idle) > 0 {
		spare = u.idle[0]
		u.idle = slices.Delete(u.idle, 0, 1)
	}
	u.mu.Unlock()
	if spare != nil {
		spare.close() // the gate counts those in use; the idle ones make room
	}

	o, err := u.dial(from, timeout)
	if err != nil {
		u.mu.Lock()
		u.open--
		u.mu.Unlock()
		return nil, &failure{stage: dialStage(err), err: err}
	}
	if s := u.seen.Load(); s == nil || !s.at.IsZero() {
		if a, ok := o.conn.RemoteAddr().(*net.TCPAddr); ok {
			u.seen.Store(&seen{a.AddrPort(), time.Now()})
		}
	}
	return &wire{
		up: u, from: from, sent: o.sent, conn: o.conn, src: chunk.NewSource(o.conn), sock: o.sock, ferry: o.ferry, acked0: o.acked, ackKnown: o.known,
	}, nil
}

// handed is how many bytes the kernel was given for the socket.
func (w *wire) handed() uint64 {
	if w.ferry != nil {
		return w.ferry.written.Load()
	}
	return w.sent
}

func (u *upstream) takeIdle(from origin) *wire {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := len(u.idle) - 1; i >= 0; i-- {
		if w := u.idle[i]; w.from == from {
			u.idle = slices.Delete(u.idle, i, i+1)
			return w
		}
	}
	return nil
}

// put gives back a connection whose answer was read to its end.
func (u *upstream) put(w *wire) {
	if w.cut || w.first != nil || len(w.ahead) > 0 || w.ended || w.src.Over() || w.conn.SetDeadline(time.Time{}) != nil {
		w.close() // half a request or bytes beyond the answer are on it, or it is already closed
		return
	}
	u.mu.Lock()
	keep := !u.closed && !w.gone && len(u.idle)+int(u.kept.Load()) < u.limits().MaxIdle
	var old *wire
	if !keep && !u.closed && !w.gone && w.from != (origin{}) && len(u.idle) > 0 {
		// What nobody else can use may be used by nobody again: the newest has the best
		// chance.
		old, keep = u.idle[0], true
		u.idle = slices.Delete(u.idle, 0, 1)
	}
	if keep {
		w.idleSince = time.Now()
		u.idle = append(u.idle, w)
	}
	u.mu.Unlock()
	if !keep {
		w.close()
	}
	if old != nil {
		old.close()
	}
}

// keep counts another idle connection of a lane, if there may be one.
func (u *upstream) keep(most int) bool {
	if int(u.kept.Add(1)) > most {
		u.kept.Add(-1)
		return false
	}
	return true
}

// entered and left count a connection of a lane. crowded means that idle ones have to
// make room for it.
func (u *upstream) entered() (crowded bool) {
	most := u.limits().Comet.MaxConns
	u.mu.Lock()
	defer u.mu.Unlock()
	u.open++
	return most > 0 && u.open > most
}

func (u *upstream) left() {
	u.mu.Lock()
	u.open--
	u.mu.Unlock()
}

// close ends the connection and the upload on it; more than once is harmless.
func (w *wire) close() {
	w.endUpload()
	w.up.mu.Lock()
	if !w.gone {
		w.gone = true
		w.up.open--
	}
	w.up.mu.Unlock()
	w.conn.Close()
	if w.first != nil {
		w.first.Free()
		w.first = nil
	}
}

// beginWait registers a wire that waits for its answer; endWait takes it off and
// tells whether it was woken meanwhile, and why.
func (u *upstream) beginWait(w *wire, out *outgoing) {
	u.mu.Lock()
	w.woken = false
	u.waiting[w] = out
	u.mu.Unlock()
}

func (u *upstream) endWait(w *wire) (woken bool, why stage) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.waiting, w)
	return w.woken, w.why
}

// wakeOne wakes a wire if it waits for the answer to out, and not to a later request.
func (u *upstream) wakeOne(w *wire, out *outgoing, why stage) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	waits := u.waiting[w] == out
	if waits && !w.woken {
		w.wake(why)
	}
	return waits
}

// waitUntil bounds the waiting of a wire that waits for the answer to out.
func (u *upstream) waitUntil(w *wire, out *outgoing, t time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.waiting[w] == out && !w.woken {
		w.conn.SetReadDeadline(t)
	}
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// interrupt is called when the comet went down: what waits for its answer stops
// waiting (a comet that fell silent breaks no connection), and idle connections are
// closed. An answer that has begun to arrive goes on.
func (u *upstream) interrupt() {
	u.mu.Lock()
	for w := range u.waiting {
		w.wake(stageDown)
	}
	u.mu.Unlock()
	u.closeIdle()
}

// release lets go of the held polls, and of nothing else.
func (u *upstream) release() {
	u.mu.Lock()
	for w := range u.waiting {
		if w.held {
			w.wake(stageReleased)
		}
	}
	u.mu.Unlock()
}

// letGo has the polls that are held sent again, to be answered at once.
func (u *upstream) letGo() {
	u.mu.Lock()
	for w := range u.waiting {
		if w.held {
			w.wake(stageTurn)
		}
	}
	u.mu.Unlock()
}

// close makes the pool keep no connection any more: those in use are closed when
// they are done.
func (u *upstream) close() {
	u.mu.Lock()
	u.closed = true
	u.mu.Unlock()
	u.closeIdle()
}

func (u *upstream) closeIdle() {
	u.mu.Lock()
	idle := u.idle
	u.idle = nil
	u.mu.Unlock()
	for _, w := range idle {
		w.close()
	}
}

// wake ends the waiting of a wire. The caller holds up.mu.
func (w *wire) wake(why stage) {
	w.woken, w.why = true, why
	w.conn.SetReadDeadline(past)
}

// sweep closes what has been idle for too long.
func (u *upstream) sweep(now time.Time) {
	u.mu.Lock()
	n := 0
	for n < len(u.idle) && now.Sub(u.idle[n].idleSince) > u.limits().MaxIdleTime {
		n++
	}
	old := append([]*wire(nil), u.idle[:n]...)
	u.idle = append(u.idle[:0], u.idle[n:]...)
	clear(u.idle[len(u.idle) : len(u.idle)+n])
	u.mu.Unlock()
	for _, w := range old {
		w.close()
	}
}

// conns is how many connections there are, tunnels included.
func (u *upstream) conns() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.open
}

// Read reads the answer, beginning with what await has read already.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.ahead) > 0 {
		n := copy(p, w.ahead)
		w.ahead = w.ahead[n:]
		return n, nil
	}
	if w.first == nil {
		n, err := w.conn.Read(p)
		w.ended = errors.Is(err, io.EOF)
		return n, err
	}
	n := copy(p, w.first.Bytes()[w.taken:])
	if w.taken += n; w.taken == len(w.first.Bytes()) {
		w.first.Free()
		w.first, w.taken = nil, 0
	}
	return n, nil
}

// rest takes what await has read and nobody has taken yet.
func (w *wire) rest() []byte {
	if w.first == nil {
		return nil
	}
	p := append([]byte(nil), w.first.Bytes()[w.taken:]...)
	w.first.Free()
	w.first, w.taken = nil, 0
	return p
}

// dialStage tells what a failed dial says of the comet.
func dialStage(err error) stage {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return stageRefused
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE),
		errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.ENOBUFS):
		return stageFull // our own shortage, not the comet's fault
	case errors.As(err, &timeout) && timeout.Timeout():
		return stageDialTimeout
	default:
		return stageUnreachable
	}
}
