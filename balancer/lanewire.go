package balancer

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/halleycomet/halley/internal/chunk"
	"github.com/halleycomet/halley/internal/park"
	"github.com/valyala/fasthttp"
)

// wireState is what is going on on a connection to a comet.
type wireState uint8

const (
	// wireIdle: it is in the pool.
	wireIdle wireState = iota
	// wireDials: it is not there yet.
	wireDials
	// wireSends: a request, of which not all could be written.
	wireSends
	// wireWaits: for the answer.
	wireWaits
	// wireAnswers: a part of the answer has come.
	wireAnswers
)

// laneWire is a connection to a comet in a lane.
type laneWire struct {
	sock       park.Sock
	pool       *lanePool
	client     *laneClient // nil: idle
	prev, next *laneWire   // in the pool

	state    wireState
	cut      bool // the request could not be written to its end, or was answered before
	hup      bool // the comet sends no more than what is there to read
	released bool // the comet was told that nobody waits, and may have answered before
	reused   bool
	ackKnown bool
	// As in wire.
	sent, before, acked0 uint64
	idleSince            time.Time
	wait                 time.Duration // for the answer
	// buf is what is left of the request to be written, or what has come of the answer.
	buf []byte
}

// send sends the request that is in the lane's buffer.
func (l *lane) send(c *laneClient, rq *exchange) {
	p := l.pool(c.comet.up)
	w := p.take()
	if w != nil {
		w.reused = true
		c.wire, w.client, w.wait = w, c, rq.out.wait
		w.before, w.cut = w.sent, false
		w.write(l.out)
		return
	}
	w = &laneWire{pool: p, client: c, wait: rq.out.wait, state: wireDials}
	addr, _ := p.up.literal() // it was known just now
	if err := l.loop.Dial(&w.sock, addr, w); err != nil {
		w.client = nil
		c.failed(&failure{stage: dialStage(err), err: err})
		return
	}
	c.wire = w
	if p.up.entered() {
		l.lanes.makeRoom(p.up)
	}
	if p.first != nil {
		p.first.prev, w.next = w, p.first
	}
	p.first = w
	w.buf = clone(l.out)
	l.loop.Timeouts(rq.conf.Limits.DialTimeout).Set(&w.sock)
}

// releaseTime is how long a comet has to end a poll that is let go, if there is as much:
// afterwards it may have to be asked.
const releaseTime = 500 * time.Millisecond

func (u *upstream) releaseTime() time.Duration {
	return min(releaseTime, u.live.conf().StopTime/3)
}

// release tells the comet that nobody waits for its answer any more, but takes one that
// was on its way already: what is in it would be lost.
func (w *laneWire) release() {
	if !w.released {
		w.released = true
		_ = w.sock.CloseWrite() // one that has ended is read to its end in any case
		w.pool.lane.loop.Timeouts(w.pool.up.releaseTime()).Set(&w.sock)
	}
}

// close ends the connection. It is in no list of idle ones any more.
func (w *laneWire) close() {
	if !w.sock.Open() {
		return
	}
	w.sock.Close()
	w.unlink()
	w.pool.up.left()
}

func (w *laneWire) unlink() {
	if w.prev != nil {
		w.prev.next = w.next
	} else if w.pool.first == w {
		w.pool.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
	w.buf = nil
}

// Ready is called by the loop.
func (w *laneWire) Ready(_ *park.Sock, e park.Events) {
	w.hup = w.hup || e&park.Hangup != 0
	switch {
	case e&park.Ended != 0:
		if c := w.client; c != nil {
			c.abandon()
		}
		w.close()
	case e&park.Expired != 0:
		w.expired()
	case w.state == wireIdle:
		if e&(park.Readable|park.Hangup) != 0 { // nobody has asked, or it ends
			w.discard()
		}
	case w.state == wireDials:
		w.dialled(e)
	default:
		if w.state == wireSends && e&park.Writable != 0 {
			w.write(w.buf)
		}
		if w.client != nil && e&(park.Readable|park.Hangup) != 0 {
			w.read()
		}
	}
}

// discard closes an idle connection.
func (w *laneWire) discard() {
	p := w.pool
	if i := slices.Index(p.idle, w); i >= 0 {
		p.remove(i)
	}
	w.close()
}

func (w *laneWire) expired() {
	switch {
	case w.state == wireIdle:
		w.discard()
	case w.state == wireDials:
		w.failed(stageDialTimeout, errDialTimeout)
	case w.released && w.state == wireWaits:
		w.keeps()
	case w.state == wireAnswers:
		w.failed(stageAnswering, errSlowAnswer)
	default:
		w.failed(stageTimeout, fmt.Errorf("no answer within %v", w.wait))
	}
}

var (
	errDialTimeout = errors.New("dial: no answer in time")
	errSlowAnswer  = errors.New("the answer did not come in time")
)

func (w *laneWire) dialled(e park.Events) {
	if err := w.sock.Err(); err != nil {
		w.failed(dialStage(err), fmt.Errorf("dial %s: %w", w.pool.up.addr, err))
		return
	}
	if e&(park.Writable|park.Hangup) == 0 {
		return
	}
	_ = w.sock.Control(func(fd uintptr) { w.acked0, w.ackKnown = bytesAckedFd(fd) })
	w.write(w.buf)
}

// write writes the request, or the rest of it.
func (w *laneWire) write(p []byte) {
	n, err := w.sock.Write(p)
	w.sent += uint64(n)
	w.pool.lane.loop.Timeouts(w.wait).Set(&w.sock)
	switch {
	case err == nil:
		w.buf, w.state = nil, wireWaits
	case errors.Is(err, park.ErrAgain):
		if w.state == wireSends {
			w.buf = w.buf[n:]
		} else {
			w.buf, w.state = clone(p[n:]), wireSends
		}
	case w.sent == w.before:
		w.failed(stageUnsent, fmt.Errorf("write request: %w", err))
	default:
		// It may have answered before it had read everything. What there is, or the end, is
		// there to read. (That of a reset looks like any other by now.)
		w.buf, w.state, w.cut = nil, wireWaits, true
		w.read()
	}
}

// read reads the answer.
func (w *laneWire) read() {
	l := w.pool.lane
	p := l.loop.Scratch()
	before := 0
	if w.state == wireAnswers {
		before = copy(p, w.buf)
	}
	n, err := w.sock.Read(p[before:])
	switch {
	case errors.Is(err, park.ErrAgain):
		return
	case err != nil && before == 0 && w.released:
		w.failed(stageReleased, errWoken)
		return
	case err != nil && before > 0:
		w.failed(stageAnswering, fmt.Errorf("read answer: %w", err))
		return
	case errors.Is(err, io.EOF) && !w.cut && w.unacked():
		w.failed(stageUnsent, errors.New("connection was closed before the request arrived"))
		return
	case err != nil:
		w.failed(stageSent, fmt.Errorf("await answer: %w", err))
		return
	}
	data := p[:before+n]
	a, verdict := readAnswer(data)
	switch {
	case verdict == answerPartial && len(data) < maxAnswerHead, verdict == answerPlain && len(data) < a.head+a.body:
		if w.state != wireAnswers {
			w.cut = w.cut || w.state == wireSends
			w.state = wireAnswers
			l.loop.Timeouts(w.pool.up.limits().UpstreamTimeout).Set(&w.sock)
		}
		w.buf = append(make([]byte, 0, max(len(data), a.head+a.body)), data...)
		if w.hup {
			w.read() // the end, of which nothing more is told
		}
		return
	case w.released && verdict != answerPartial && (a.status != fasthttp.StatusOK || a.body == 0):
		w.failed(stageReleased, errWoken) // how a server ends what nobody waits for
		return
	case verdict != answerPlain, w.state == wireSends:
		w.cut = w.cut || w.released || w.state == wireSends
		w.handOver(data)
		return
	}
	c := w.client
	whole := len(data) == a.head+a.body
	data = data[:a.head+a.body]
	w.buf = nil
	w.sock.ClearTimeout()
	if w.cut || w.hup || w.released || !whole || a.close {
		w.client = nil
		w.close()
	} else {
		w.pool.put(w)
	}
	if a.edit || c.idName != "" {
		l.out = a.appendTo(l.out[:0], data, c.idName, c.id.bytes())
		data = l.out
	}
	c.answered(a.status, data, a.body)
}

// unacked is that of wire.
func (w *laneWire) unacked() bool {
	if !w.ackKnown {
		return false
	}
	var acked uint64
	var known bool
	_ = w.sock.Control(func(fd uintptr) { acked, known = bytesAckedFd(fd) })
	return known && acked <= w.acked0+w.before
}

// failed ends the exchange: what follows is for the handler to decide.
func (w *laneWire) failed(why stage, err error) {
	c := w.client
	w.client = nil
	w.close()
	c.failed(&failure{stage: why, err: err, reused: w.reused})
}

func (c *laneClient) failed(fail *failure) {
	c.wire = nil
	c.leave(exitFailed, c.visit(fail, nil))
}

// visit is what the handler has to know of a request that was sent.
func (c *laneClient) visit(fail *failure, w *wire) *excursion {
	c.count(-1)
	return &excursion{
		front: c.request,
		tried: &tried{
			id:       c.id,
			decision: decision{comet: c.comet, reason: c.reason, requestCookie: c.cookie},
			room:     c.room, began: c.began, waited: c.lane.since(c.began), fail: fail, wire: w,
		},
	}
}

// handOver leaves an answer that is not the lane's to the handler.
func (w *laneWire) handOver(data []byte) {
	c := w.client
	if out := w.leave(data); out != nil {
		c.leave(exitAnswer, c.visit(nil, out))
	}
}

// keeps is called when the comet goes on holding a poll that was let go.
func (w *laneWire) keeps() {
	c := w.client
	w.cut = true
	if out := w.leave(nil); out != nil {
		c.failed(&failure{stage: stageKept, err: errWoken, reused: w.reused, kept: out})
	}
}

// leave takes the connection, on which that much of an answer has come, out of the lane;
// nil when it failed.
func (w *laneWire) leave(ahead []byte) *wire {
	c := w.client
	w.client, c.wire = nil, nil
	conn, err := w.sock.Release()
	w.unlink()
	if err != nil {
		w.pool.up.left()
		c.failed(&failure{stage: stageAnswering, err: err, reused: w.reused})
		return nil
	}
	conn.SetReadDeadline(time.Now().Add(w.pool.up.limits().UpstreamTimeout)) // for the rest
	src := chunk.NewSource(conn)
	return &wire{
		up: w.pool.up, conn: conn, src: src, sock: src.Raw(), reused: w.reused, held: c.kind == recordPoll,
		sent: w.sent, before: w.before, acked0: w.acked0, ackKnown: w.ackKnown, cut: w.cut, ahead: clone(ahead),
	}
}
