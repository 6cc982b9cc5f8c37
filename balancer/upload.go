package balancer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/halleycomet/halley/internal/chunk"
)

// settle is how long an upload has to end once the answer has begun, before the two
// are taken for a conversation. A comet answers as a rule when it has read the whole
// body, and then all that is missing is that the goroutine notices.
const settle = 10 * time.Millisecond

// impatient is how long the answer of a comet that takes no more of the request is
// waited for: it is there already, or will never be.
const impatient = time.Second

// upload passes the body of a request on to a comet as it comes, in a goroutine of
// its own, while the answer is awaited and passed on: what a server answers while it
// still reads would otherwise fill the buffers between the two until both wait.
//
// It belongs to its wire: who ends the wire ends the upload first (wire.close, and
// answerBody.Close after the handler). fasthttp keeps the request, and the reader that
// its body comes from, until the body of the answer is closed, so the body is never
// read beyond its time.
//
// Until the answer begins, the silence of the client and that of the comet are
// bounded each for itself. Afterwards what moves in either direction gives new time
// to both: a side that listens may be silent, and a comet that cannot get rid of its
// answer may not read on.
type upload struct {
	// Fixed after construction.
	w      *wire
	client net.Conn
	out    *outgoing
	limits *Limits
	done   chan struct{} // closed at its end

	mu sync.Mutex
	// Guarded by mu.
	answering bool // the answer has begun
	stopped   bool // nothing is to be waited for any more

	// Owned by the goroutine until done is closed.
	sent     uint64
	complete bool  // the comet was sent all of it
	broke    error // the client broke off
}

// startUpload begins to pass the body on. The wire must be waiting for its answer.
func startUpload(w *wire, out *outgoing) *upload {
	u := &upload{w: w, client: out.stream.conn, out: out, limits: w.up.limits(), done: make(chan struct{})}
	go u.run()
	return u
}

func (u *upload) run() {
	defer close(u.done)
	cut := u.pass()
	switch {
	case u.broke != nil:
		if !u.w.up.wakeOne(u.w, u.out, stageClient) {
			u.w.conn.Close() // half a request gets no whole answer
		}
	case u.complete:
		u.w.up.waitUntil(u.w, u.out, time.Now().Add(u.out.wait))
	case cut:
		// A comet may answer and close before it has read all (413, say), so this is
		// not the last word.
		u.w.up.waitUntil(u.w, u.out, time.Now().Add(impatient))
	}
}

// pass copies the body. It is cut when the comet took no more.
func (u *upload) pass() (cut bool) {
	c := chunk.Get()
	defer c.Free()
	const frame = 10 // room for the size of a chunk in front, and its end behind
	for left := u.out.length; left != 0; {
		room := c.Buf[frame : len(c.Buf)-2]
		if left > 0 && int64(len(room)) > left {
			room = room[:left]
		}
		if !u.allow(u.client.SetReadDeadline, u.limits.ReadTimeout) {
			return false
		}
		u.out.spent = true
		n, err := u.out.stream.Read(room)
		if n > 0 {
			p := room[:n]
			if u.out.length < 0 {
				p = chunked(c, frame, n)
			} else {
				left -= int64(n)
			}
			if !u.write(p) {
				return true
			}
		}
		switch {
		case errors.Is(err, io.EOF) && left > 0:
			u.broke = io.ErrUnexpectedEOF
			return false
		case errors.Is(err, io.EOF) && u.out.length < 0:
			// Trailers of a request are left out: nothing may depend on them, and
			// they could bring in headers that were looked at before.
			u.complete = u.write([]byte("0\r\n\r\n"))
			return !u.complete
		case err != nil && !errors.Is(err, io.EOF):
			if !u.isStopped() {
				u.broke = fmt.Errorf("read request body: %w", err)
			}
			return false
		}
	}
	u.complete = true
	return false
}

func (u *upload) write(p []byte) bool {
	if !u.allow(u.w.conn.SetWriteDeadline, u.out.wait) {
		return false
	}
	n, err := u.w.conn.Write(p)
	u.sent += uint64(n)
	u.moved()
	return err == nil
}

// allow gives one step of the upload its time, which is longer once the answer has
// begun.
func (u *upload) allow(set func(time.Time) error, before time.Duration) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.stopped {
		return false
	}
	if u.answering {
		before = u.limits.ConnectTimeout
	}
	_ = set(time.Now().Add(before)) // what cannot be set fails in the step itself
	return true
}

// moved gives both directions new time, once the answer has begun.
func (u *upload) moved() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.answering || u.stopped {
		return
	}
	t := time.Now().Add(u.limits.ConnectTimeout)
	u.client.SetReadDeadline(t)
	u.w.conn.SetDeadline(t)
}

// answered is called when the answer has begun.
func (u *upload) answered() {
	u.mu.Lock()
	u.answering = true
	u.mu.Unlock()
	u.moved()
}

// over waits a moment for the end of the upload and tells whether it came.
func (u *upload) over() bool {
	timer := time.NewTimer(settle)
	defer timer.Stop()
	select {
	case <-u.done:
		return true
	case <-timer.C:
		return false
	}
}

// stop ends the upload, and returns when nothing of it is alive. It tells whether
// all of the body was sent.
func (u *upload) stop() bool {
	select {
	case <-u.done:
		return u.complete
	default:
	}
	u.mu.Lock()
	u.stopped = true
	u.client.SetReadDeadline(past)
	u.w.conn.SetWriteDeadline(past)
	u.mu.Unlock()
	<-u.done
	return u.complete
}

func (u *upload) isStopped() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.stopped
}

// endUpload ends the upload of the present request, if it has one, and tells whether
// the request was sent whole.
func (w *wire) endUpload() bool {
	u := w.upload
	if u == nil {
		return !w.cut
	}
	w.upload = nil
	complete := u.stop()
	w.sent += u.sent
	w.cut = w.cut || !complete
	w.broke = u.broke
	return complete
}

// chunked frames the n bytes at c.Buf[at:] as one chunk.
func chunked(c *chunk.Chunk, at, n int) []byte {
	var size [8]byte
	s := append(strconv.AppendUint(size[:0], uint64(n), 16), '\r', '\n')
	start := at - len(s)
	copy(c.Buf[start:], s)
	end := at + n
	c.Buf[end], c.Buf[end+1] = '\r', '\n'
	return c.Buf[start : end+2]
}
