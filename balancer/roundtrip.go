package balancer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"
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
	// stageReleased: the balancer stops, and let go of a poll that the comet held.
	stageReleased
	// stageClient: the client broke off within its own request.
	stageClient

	stages = int(stageClient) + 1
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
	case stageClient:
		return "client"
	}
	return fmt.Sprintf("stage(%d)", uint8(s))
}

// failure is why a request got no answer.
type failure struct {
	stage stage
	err   error
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
	// cannot be sent again.
	stream io.Reader
	length int64
	spent  bool
	// alone wants a new connection: for what cannot be sent twice, and for tunnels.
	alone bool
	// wait bounds the silence until the answer begins, held tells that the comet may
	// let it last.
	wait time.Duration
	held bool
}

// roundTrip sends a request to c and waits until its answer begins. The returned
// wire is to be read, then given back or closed.
// Once the wire is where it can be woken, may is asked whether there is still a point
// in waiting.
func roundTrip(c *comet, out *outgoing, fresh bool, dialTimeout time.Duration, may func() *failure) (*wire, *failure) {
	w, fail := c.up.get(fresh, dialTimeout)
	if fail != nil {
		return nil, fail
	}
	w.held = out.held
	fail = w.send(out)
	if fail == nil {
		fail = w.await(out.wait, may)
	}
	if fail != nil {
		w.close()
		return nil, fail
	}
	return w, nil
}

// send writes the request. A comet may answer and close before it has read all of
// it (413, say), so an error in the middle is not the last word: await has it.
func (w *wire) send(out *outgoing) *failure {
	w.before, w.cut = w.sent, false
	w.conn.SetWriteDeadline(time.Now().Add(out.wait))
	bufs := net.Buffers{out.head}
	if len(out.body) > 0 {
		bufs = append(bufs, out.body)
	}
	n, err := bufs.WriteTo(w.conn)
	w.sent += uint64(n)
	if err != nil && w.sent == w.before {
		return &failure{stage: stageUnsent, err: fmt.Errorf("write request: %w", err)}
	}
	if err == nil && out.stream != nil {
		var fail *failure
		if fail, err = w.sendStream(out); fail != nil {
			return fail
		}
	}
	if err != nil {
		w.cut = true
	}
	return nil
}

// impatient is how long a comet that has begun to answer may take nothing of the
// rest of the request before the rest is left out.
const impatient = time.Second

// sendStream passes the body on as it comes from the client.
func (w *wire) sendStream(out *outgoing) (*failure, error) {
	c := chunks.Get().(*chunk)
	defer c.free()
	const frame = 10 // room for the size of a chunk in front, and its end behind
	for left := out.length; left != 0; {
		room := c.buf[frame : len(c.buf)-2]
		if left > 0 && int64(len(room)) > left {
			room = room[:left]
		}
		n, err := out.stream.Read(room)
		out.spent = true
		if n > 0 {
			p := room[:n]
			if out.length < 0 {
				p = chunked(c, frame, n)
			} else {
				left -= int64(n)
			}
			patience := out.wait
			if w.src.raw != nil && !quiet(w.src.raw) {
				patience = min(patience, impatient)
			}
			w.conn.SetWriteDeadline(time.Now().Add(patience))
			m, werr := w.conn.Write(p)
			w.sent += uint64(m)
			if werr != nil {
				return nil, werr
			}
		}
		switch {
		case err == io.EOF && left > 0:
			return &failure{stage: stageClient, err: io.ErrUnexpectedEOF}, nil
		case err == io.EOF && out.length < 0:
			// Trailers of a request are left out: nothing may depend on them, and
			// they could bring in headers that were looked at before.
			n, err := io.WriteString(w.conn, "0\r\n\r\n")
			w.sent += uint64(n)
			return nil, err
		case err != nil && err != io.EOF:
			return &failure{stage: stageClient, err: fmt.Errorf("read request body: %w", err)}, nil
		}
	}
	return nil, nil
}

// chunked frames the n bytes at c.buf[at:] as one chunk.
func chunked(c *chunk, at, n int) []byte {
	var size [8]byte
	s := append(strconv.AppendUint(size[:0], uint64(n), 16), '\r', '\n')
	start := at - len(s)
	copy(c.buf[start:], s)
	end := at + n
	c.buf[end], c.buf[end+1] = '\r', '\n'
	return c.buf[start : end+2]
}

// await waits for the first bytes of the answer.
func (w *wire) await(wait time.Duration, may func() *failure) *failure {
	if w.cut {
		wait = min(wait, impatient) // it is there already, or will never be
	}
	w.conn.SetReadDeadline(time.Now().Add(wait))
	w.up.beginWait(w)
	var err error
	stop := may()
	if stop == nil {
		w.first, err = w.src.next()
		w.taken = 0
	}
	woken, why := w.up.endWait(w)
	switch {
	case stop != nil:
		return stop
	case err == nil:
		w.conn.SetReadDeadline(time.Now().Add(w.up.limits.UpstreamTimeout))
		return nil
	case woken:
		return &failure{stage: why, err: errWoken}
	case errors.Is(err, os.ErrDeadlineExceeded) && !w.cut:
		return &failure{stage: stageTimeout, err: fmt.Errorf("no answer within %v", wait)}
	case errors.Is(err, io.EOF) && w.unacked():
		// The end came with nothing of this request acknowledged: the comet closed
		// the connection before it could read any of it. After a reset one cannot be
		// sure: the acknowledgement may not have been sent when it happened.
		return &failure{stage: stageUnsent, err: errors.New("connection was closed before the request arrived")}
	default:
		return &failure{stage: stageSent, err: fmt.Errorf("await answer: %w", err)}
	}
}

var errWoken = errors.New("the waiting was broken off")

// unacked tells whether it is certain that nothing of the present request was
// acknowledged.
func (w *wire) unacked() bool {
	if !w.ackKnown {
		return false
	}
	acked, known := bytesAcked(w.src.raw)
	return known && acked <= w.acked0+w.before
}
