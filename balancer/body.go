package balancer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/valyala/fasthttp"
)

// clientBody reads the body of a request as it comes, within the deadline of the
// connection.
type clientBody struct {
	src     io.Reader
	conn    net.Conn
	chunked bool
	ended   bool
	absent  bool  // more of it should have come
	read    int64 // bytes of it so far
}

func (b *clientBody) Read(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	c := clientOf(b.conn)
	if c != nil {
		c.slow.Store(false)
	}
	n, err := b.src.Read(p)
	b.read += int64(n)
	b.absent = err != nil && c != nil && (c.ended.Load() || c.slow.Load())
	if err == io.EOF && b.chunked && c != nil && c.ended.Load() {
		return n, io.ErrUnexpectedEOF
	}
	b.ended = err == io.EOF
	return n, err
}

const (
	// maxDrain is how much of a body that nobody wants is read, so that the client
	// comes to read the answer; drainTime is for how long.
	maxDrain  = 256 << 10
	drainTime = 500 * time.Millisecond
)

// bodyOf is the body of a request, nil when it has none.
func bodyOf(ctx *fasthttp.RequestCtx) *clientBody {
	stream, length := ctx.RequestBodyStream(), ctx.Request.Header.ContentLength()
	if stream == nil || length == 0 {
		return nil
	}
	return &clientBody{src: stream, conn: ctx.Conn(), chunked: length == bodyChunked}
}

// finishBody sees to it that no byte of a body that was not read to its end can be
// taken for the next request: what is left is read, or the connection ends. The body
// of a connection that ends anyway is left alone: an upload may still be at it.
func finishBody(ctx *fasthttp.RequestCtx) {
	b := bodyOf(ctx)
	if b == nil {
		return
	}
	if ctx.Response.ConnectionClose() {
		leaveUnread(ctx.Conn(), true)
		return
	}
	b.conn.SetReadDeadline(time.Now().Add(drainTime))
	_, _ = io.CopyN(io.Discard, b, maxDrain) // whether it ended is what counts
	if !b.ended {
		ctx.SetConnectionClose()
		leaveUnread(b.conn, true)
	}
}

var errTooLarge = errors.New("body too large")

// readAll reads a body of at most limit bytes.
func readAll(body io.Reader, length int64, limit int) ([]byte, error) {
	if length > int64(limit) {
		return nil, errTooLarge
	}
	buf := make([]byte, 0, max(length, 512)+1) // one more, to see the end without growing
	for {
		n, err := body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > limit:
			return nil, errTooLarge
		case err == io.EOF && length >= 0 && int64(len(buf)) < length:
			return nil, io.ErrUnexpectedEOF
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return nil, fmt.Errorf("read request body: %w", err)
		case len(buf) == cap(buf):
			buf = append(buf, 0)[:len(buf)]
		}
	}
}

// errNoMessages means that a request to the Bayeux path carries no messages where
// messages may be.
var errNoMessages = errors.New("no messages")

// readMessages takes the messages out of a request, in each of the forms in which
// clients send them: JSON in the body of a POST; a form with one or more fields
// "message", as Faye sends it to another origin; and, for JSONP, GET with
// "message" and the name of the callback in the query.
func readMessages(ctx *fasthttp.RequestCtx, body []byte) (messages []bayeux.Message, callback string, err error) {
	switch {
	case ctx.IsGet():
		args := ctx.QueryArgs()
		callback = string(args.Peek("jsonp"))
		if !bayeux.ValidCallback(callback) {
			return nil, "", errNoMessages // such a name is not written into a script
		}
		messages, err = bayeux.ParseAll(args.PeekMulti("message"))
		return messages, callback, err
	case !ctx.IsPost():
		return nil, "", errNoMessages
	}
	messages, err = bayeux.ParseAll(bayeux.Texts(string(ctx.Request.Header.ContentType()), body))
	return messages, "", err
}

// effectOf is the effect of sending a batch twice: that of its worst message.
func effectOf(messages []bayeux.Message) effect {
	for i := range messages {
		switch messages[i].Channel {
		case bayeux.MetaHandshake, bayeux.MetaConnect, bayeux.MetaSubscribe, bayeux.MetaUnsubscribe, bayeux.MetaDisconnect:
		default:
			return once
		}
	}
	return repeatable
}

func hasConnect(messages []bayeux.Message) bool {
	for i := range messages {
		if messages[i].Channel == bayeux.MetaConnect {
			return true
		}
	}
	return false
}
