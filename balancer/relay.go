package balancer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// maxAnswerHead is the longest head of an answer that is understood.
	maxAnswerHead = 16 << 10
	// wholeAnswer is up to which length an answer is read whole before the first byte
	// of it is passed on. Longer ones, and those of unknown length, are streamed.
	wholeAnswer = 64 << 10
	// maxInterim bounds the 1xx answers before the one that counts.
	maxInterim = 16
)

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, maxAnswerHead) }}

func getReader(r io.Reader) *bufio.Reader {
	br := readers.Get().(*bufio.Reader)
	br.Reset(r)
	return br
}

func putReader(br *bufio.Reader) {
	br.Reset(nil)
	readers.Put(br)
}

// relay reads the answer on w, through br, into that for the client, and notes in rec
// how much there was of it. It calls done
// when the answer has been passed on or has failed on the way, and gives w back.
// After a failure nothing has been passed on, done is not called, and w is closed. An
// answer that is short enough to be read whole is a failure, too, if denied says so.
//
// An answer that begins before the body of its request is over is passed on while the
// rest of the body is. When it ends before the body does, nobody reads on: both
// connections end, as the client is told.
//
// Interim answers (1xx) are not passed on: a 100 was asked for by nobody, because
// the balancer sends it itself, and fasthttp has no way to write others in their
// order among the answers of a connection.
func relay(ctx *fasthttp.RequestCtx, w *wire, br *bufio.Reader, limits *Limits, rec *record, done func(), denied func(answer []byte) bool) *failure {
	fail := func(err error) *failure {
		w.close()
		putReader(br)
		if w.broke != nil {
			return &failure{stage: stageClient, err: w.broke}
		}
		return &failure{stage: stageAnswering, err: err}
	}
	h := &ctx.Response.Header
	ctx.Response.ResetBody() // of an answer that broke
	for n := 0; ; n++ {
		if err := h.Read(br); err != nil {
			return fail(fmt.Errorf("read answer: %w", err))
		}
		if h.StatusCode() >= 200 {
			break
		}
		if h.StatusCode() == fasthttp.StatusSwitchingProtocols || n == maxInterim {
			return fail(fmt.Errorf("read answer: unexpected status %d", h.StatusCode()))
		}
	}
	both := w.upload != nil && !w.upload.over()
	if !both && !w.endUpload() && w.broke != nil {
		return fail(w.broke)
	}
	closing := h.ConnectionClose()
	length := h.ContentLength()
	cleanAnswer(h)
	if both {
		ctx.SetConnectionClose() // the body may never end
	}

	client := ctx.Conn()
	release := func(clean bool) {
		whole := w.endUpload()
		if both {
			leaveUnread(client, !whole)
		}
		if clean && whole && !closing && br.Buffered() == 0 {
			w.up.put(w)
		} else {
			w.close()
		}
		putReader(br)
		rec.cut = !clean
		done()
	}
	switch code := h.StatusCode(); {
	case ctx.IsHead(), code == fasthttp.StatusNoContent, code == fasthttp.StatusNotModified:
		release(true)
	case length >= 0 && length <= wholeAnswer && (!both || br.Buffered() >= length):
		if err := ctx.Response.ReadBody(br, 0); err != nil {
			return fail(fmt.Errorf("read answer: %w", err))
		}
		if denied != nil && denied(ctx.Response.Body()) {
			done = func() {}
			release(true)
			return &failure{stage: stageAside, err: errDenied}
		}
		rec.saw(ctx.Response.Body())
		rec.lesson.see(ctx.Response.Body())
		rec.lesson.end(code, string(h.ContentEncoding()))
		rec.out = int64(len(ctx.Response.Body()))
		release(true)
	default:
		b := newAnswerBody(ctx, w, br, length, limits, release)
		b.rec = rec
		if length < 0 && !ctx.Request.Header.IsHTTP11() {
			b.untilClose(ctx)
			return nil
		}
		ctx.Response.ImmediateHeaderFlush = true
		ctx.Response.SetBodyStream(b, max(length, -1))
	}
	return nil
}

// answerBody is the body of an answer that is passed on as it comes. fasthttp reads
// it once the handler has returned, and closes it on every path.
type answerBody struct {
	client  net.Conn
	w       *wire
	limits  *Limits
	header  *fasthttp.ResponseHeader // the client's, which gets the trailers
	framing *fasthttp.Response       // takes the framing off
	src     io.Reader
	release func(clean bool)
	chunked bool
	ended   bool
	rec     *record // how much was passed on
}

func newAnswerBody(ctx *fasthttp.RequestCtx, w *wire, br *bufio.Reader, length int, limits *Limits, release func(bool)) *answerBody {
	framing := fasthttp.AcquireResponse()
	framing.StreamBody = true
	framing.Header.SetContentLength(length)
	_ = framing.ReadBody(br, 0) // cannot fail: a streamed body is read later
	feedFrom(ctx.Conn(), w.conn)
	return &answerBody{
		client: ctx.Conn(), w: w, limits: limits, header: &ctx.Response.Header,
		framing: framing, src: framing.BodyStream(), release: release, chunked: length == bodyChunked,
	}
}

// feedFrom tells the client's connection from where its answer comes.
func feedFrom(client, comet net.Conn) {
	if c := clientOf(client); c != nil {
		c.feedFrom(comet)
	}
}

// Read bounds the silence of both sides, not the time of the whole.
func (b *answerBody) Read(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	now := time.Now()
	b.w.conn.SetReadDeadline(now.Add(b.limits.ConnectTimeout))
	n, err := b.src.Read(p)
	if b.rec.out == 0 {
		b.rec.saw(p[:n])
	}
	b.rec.out += int64(n)
	b.rec.lesson.see(p[:n])
	if errors.Is(err, io.EOF) && b.chunked && b.w.ended {
		err = io.ErrUnexpectedEOF // fasthttp takes an end between two chunks for the end
	}
	if u := b.w.upload; u != nil && n > 0 {
		u.moved()
	}
	if errors.Is(err, io.EOF) {
		b.ended = true
		b.rec.lesson.end(b.header.StatusCode(), string(b.header.ContentEncoding()))
		for _, name := range b.header.PeekTrailerKeys() {
			b.header.SetBytesKV(name, b.framing.Header.PeekBytes(name))
		}
	} else if err != nil {
		err = errors.Join(errCutShort, err)
	}
	b.client.SetWriteDeadline(time.Now().Add(b.limits.WriteTimeout))
	return n, err
}

var errCutShort = errors.New("the comet's answer was cut short")

// Close gives the connection back if the answer was read to its end.
func (b *answerBody) Close() error {
	if b.release == nil {
		return nil
	}
	feedFrom(b.client, nil)
	_ = b.framing.CloseBodyStream() // it closes nothing, and cannot fail
	fasthttp.ReleaseResponse(b.framing)
	b.release(b.ended)
	b.release = nil
	return nil
}

// untilClose passes on a body of unknown length to a client of HTTP/1.0, which
// knows no chunks: the end of the connection is the end of the body.
func (b *answerBody) untilClose(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Del(fasthttp.HeaderTransferEncoding)
	ctx.Response.Header.SetConnectionClose()
	head := append([]byte(nil), ctx.Response.Header.Header()...)
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(conn net.Conn) {
		defer conn.Close()
		defer b.Close()
		conn.SetWriteDeadline(time.Now().Add(b.limits.WriteTimeout))
		if _, err := conn.Write(head); err == nil {
			_, _ = io.Copy(conn, onlyReader{b}) // the end of the connection tells all there is to tell
		}
	})
}

// onlyReader hides every method but Read.
type onlyReader struct{ io.Reader }
