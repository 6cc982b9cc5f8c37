package balancer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/halleycomet/halley/internal/chunk"
	"github.com/halleycomet/halley/internal/park"
	"github.com/halleycomet/halley/internal/tunnel"
	"github.com/valyala/fasthttp"
)

// stage is how far a request to a comet came before it failed. What may be done
// next depends on it (see afterFailure).
type stage uint8

const (
	// stageRefused: the dial was refused; the process is gone.
	stageRefused stage = iota
	// stageDialTimeout: the dial hung.
	stageDialTimeout
	// stageUnreachable: the dial failed otherwise (no route, no such host).
	stageUnreachable
	// stageFull: no connection is to be had, by our own limits or the system's.
	stageFull
	// stageAside: the comet is at a limit, or denied a handshake because it leaves, and
	// another takes the handshake.
	stageAside
	// stageQueueFull: it is at a limit, and as many requests queue for it as may.
	stageQueueFull
	// stageQueueLate: there was no room at it in time.
	stageQueueLate
	// stageQueueDown: it went down while the request queued for it.
	stageQueueDown
	// stageUnsent: the connection broke, and it is certain that the comet has read no
	// byte of the request.
	stageUnsent
	// stageSent: the connection broke after bytes were sent. The comet may have acted
	// on them.
	stageSent
	// stageAnswering: the connection broke within the answer, before any of it was
	// passed on.
	stageAnswering
	// stageTimeout: no answer came in time.
	stageTimeout
	// stageDown: the comet went down while its answer was awaited.
	stageDown
	// stageReleased: the balancer stops, and let go of a poll that the comet held, or did
	// not send it any more.
	stageReleased
	// stageKept: likewise, and the comet took no notice.
	stageKept
	// stageClient: the client broke off within its own request.
	stageClient
	// stageGone: the client hung up while its answer was awaited.
	stageGone
	// stageTurn: the comet drains, and a poll that it held was broken off at the end of
	// that time.
	stageTurn
	// stageStranger: a comet that drains, to which the request was sent by address, does
	// not know its session.
	stageStranger

	stages = int(stageStranger) + 1
)

func (s stage) String() string {
	switch s {
	case stageRefused:
		return "refused"
	case stageDialTimeout:
		return "dial_timeout"
	case stageUnreachable:
		return "unreachable"
	case stageFull:
		return "full"
	case stageAside:
		return "aside"
	case stageQueueFull:
		return "queue_full"
	case stageQueueLate:
		return "queue_timeout"
	case stageQueueDown:
		return "queue_down"
	case stageUnsent:
		return "unsent"
	case stageSent:
		return "sent"
	case stageAnswering:
		return "answering"
	case stageTimeout:
		return "timeout"
	case stageDown:
		return "down"
	case stageReleased:
		return "released"
	case stageKept:
		return "kept"
	case stageClient:
		return "client"
	case stageGone:
		return "gone"
	case stageTurn:
		return "turn"
	case stageStranger:
		return "stranger"
	}
	return fmt.Sprintf("stage(%d)", uint8(s))
}

// failure is why a request got no answer.
type failure struct {
	stage  stage
	err    error
	reused bool // the connection had served before
	// kept is, after stageKept, the connection on which the comet holds the poll.
	kept *wire
}

func (f *failure) Error() string { return f.stage.String() + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// outgoing is a request in the form in which it goes to a comet.
type outgoing struct {
	// head is the request line and the headers, with the empty line.
	head []byte
	// body is the whole body when it was kept.
	body []byte
	// stream is the body when it is passed on as it comes, of length bytes; -1 is
	// sent in chunks. spent is set once something was read from it: the request then
	// cannot be sent again. Until the upload has ended, both are its own.
	stream *clientBody
	length int64
	spent  bool
	// alone wants a new connection: for what cannot be sent twice, and for tunnels.
	alone bool
	// wait bounds the silence until the answer begins, held tells that the comet may
	// let it last.
	wait time.Duration
	held bool
	// from is for whom it is, where comets are told by the connection itself.
	from origin
	// turn is over when the request waits; nil when it has none.
	turn *park.Turn
	// vigil watches the client meanwhile; nil when it need not be watched.
	vigil *vigil
}

// roundTrip sends a request to c and waits until its answer begins. The returned
// wire is to be read, then given back or closed.
// Once the wire is where it can be woken, may is asked whether there is still a point
// in waiting.
func roundTrip(c *comet, out *outgoing, fresh bool, dialTimeout time.Duration, may func() *failure) (*wire, *failure) {
	out.turn.Pass()
	w, fail := c.up.get(out.from, fresh, dialTimeout)
	if fail != nil {
		return nil, fail
	}
	w.held = out.held
	fail = w.send(out)
	if fail == nil {
		fail = w.await(out, may)
	}
	if fail != nil {
		fail.reused = w.reused
		if fail.stage == stageKept {
			fail.kept = w
		} else {
			w.close()
		}
		return nil, fail
	}
	return w, nil
}

// send writes the request, but for a body that is passed on as it comes. A comet may
// answer and close before it has read all of it (413, say), so an error in the middle
// is not the last word: await has it.
func (w *wire) send(out *outgoing) *failure {
	w.before, w.mark, w.cut, w.broke = w.sent, w.handed(), false, nil
	w.conn.SetWriteDeadline(time.Now().Add(out.wait))
	bufs := net.Buffers{out.head}
	switch {
	case len(out.body) == 0:
	case w.ferry != nil && len(out.body) < chunk.Size:
		bufs[0] = append(out.head[:len(out.head):len(out.head)], out.body...) // one record, not two
	default:
		bufs = append(bufs, out.body)
	}
	n, err := bufs.WriteTo(w.conn)
	w.sent += uint64(n)
	if err != nil && w.sent == w.before {
		return &failure{stage: stageUnsent, err: fmt.Errorf("write request: %w", err)}
	}
	w.cut = err != nil
	return nil
}

// await waits for the first bytes of the answer. Meanwhile it has a body passed on,
// whose end is when the comet's time begins to run.
func (w *wire) await(out *outgoing, may func() *failure) *failure {
	wait := out.wait
	if w.cut {
		wait = min(wait, impatient)
	}
	streams := out.stream != nil && !w.cut
	if streams {
		w.conn.SetReadDeadline(time.Time{})
	} else {
		first := wait
		if out.vigil.idle() {
			first = min(moment, wait)
		}
		w.conn.SetReadDeadline(time.Now().Add(first))
	}
	w.up.beginWait(w, out)
	out.vigil.on(w)
	var err error
	stop := may()
	if stop != nil && stop.stage == stageReleased {
		w.up.wakeOne(w, out, stageReleased) // the comet has it by now, and what it says is not to be lost
		stop = nil
	}
	if stop == nil {
		if streams {
			w.upload = startUpload(w, out)
		}
		w.first, err = w.src.Next()
		if errors.Is(err, os.ErrDeadlineExceeded) && out.vigil.idle() && wait > moment {
			w.up.waitUntil(w, out, time.Now().Add(wait-moment))
			out.vigil.begin()
			w.first, err = w.src.Next()
		}
		w.taken = 0
	}
	woken, why := w.up.endWait(w)
	if woken && why == stageTurn && errors.Is(err, os.ErrDeadlineExceeded) {
		w.conn.SetReadDeadline(time.Now().Add(w.up.limits().UpstreamTimeout))
		if w.src.Raw() != nil && !quiet(w.src.Raw()) { // it answers at this very moment
			w.first, err = w.src.Next()
		}
	}
	if woken && why == stageReleased && errors.Is(err, os.ErrDeadlineExceeded) && w.upload == nil {
		if w.first, err = w.lastWord(); errors.Is(err, os.ErrDeadlineExceeded) {
			why = stageKept
		}
	}
	if stop == nil && err == nil {
		if w.upload != nil {
			w.upload.answered()
		}
		w.conn.SetReadDeadline(time.Now().Add(w.up.limits().UpstreamTimeout))
		return nil
	}
	cut := w.cut // by send, and not by the end of the upload
	w.endUpload()
	switch {
	case stop != nil:
		return stop
	case w.broke != nil:
		return &failure{stage: stageClient, err: w.broke}
	case woken:
		return &failure{stage: why, err: errWoken}
	case errors.Is(err, os.ErrDeadlineExceeded) && !w.cut:
		return &failure{stage: stageTimeout, err: fmt.Errorf("no answer within %v", wait)}
	case errors.Is(err, io.EOF) && !cut && w.unacked():
		// The end came with nothing of this request acknowledged: the comet closed
		// the connection before it could read any of it. After a reset one cannot be
		// sure: the acknowledgement may not have been sent when it happened. Where it was
		// the write that was told of the reset, the end is all that is read of it.
		return &failure{stage: stageUnsent, err: errors.New("connection was closed before the request arrived")}
	default:
		return &failure{stage: stageSent, err: fmt.Errorf("await answer: %w", err)}
	}
}

// lastWord tells the comet that nobody waits for its answer any more, and takes one that
// was on its way already: what is in it would be lost. See laneWire.release.
func (w *wire) lastWord() (*chunk.Chunk, error) {
	tunnel.CloseWrite(w.conn)
	w.cut = true // it serves nobody else
	w.conn.SetReadDeadline(time.Now().Add(w.up.releaseTime()))
	first, err := w.src.Next()
	if err != nil {
		return nil, err
	}
	a, verdict := readAnswer(first.Bytes())
	if verdict == answerPartial || a.status == fasthttp.StatusOK && a.body != 0 {
		return first, nil
	}
	first.Free()
	return nil, errWoken // how a server ends what nobody waits for
}

var errWoken = errors.New("the waiting was broken off")

// unacked tells whether it is certain that nothing of the present request was
// acknowledged.
func (w *wire) unacked() bool {
	if !w.ackKnown {
		return false
	}
	acked, known := bytesAcked(w.sock)
	return known && acked <= w.acked0+w.mark
}
