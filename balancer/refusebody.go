package balancer

import (
	"errors"
	"io"
	"net"

	"github.com/valyala/fasthttp"
)

// tooMuch marks a head that announces more than is taken. No client can send it: it is
// no name of a header.
const tooMuch = "\x00"

// headReceived is called before anything of a body is read, or asked for with a 100. A
// body that is too long by its own account is neither: it is taken off the request, and
// guard refuses what is left.
func (b *Balancer) headReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	conf := b.inForce()
	if h.ContentLength() > conf.Limits.MaxBody && underPath(h, conf.Path) {
		h.SetContentLength(0)
		h.Del(fasthttp.HeaderExpect)
		h.SetCanonical([]byte(tooMuch), []byte(tooMuch))
	}
	return fasthttp.RequestConfig{}
}

func announcedTooMuch(h *fasthttp.RequestHeader) bool { return len(h.Peek(tooMuch)) > 0 }

// refuseTooLarge refuses a body under the Bayeux path of which so much was read.
func (b *Balancer) refuseTooLarge(ctx *fasthttp.RequestCtx, read int64) {
	refuse(ctx, fasthttp.StatusRequestEntityTooLarge, "the messages are more than max-body allows\n")
	ctx.SetConnectionClose()
	b.finishRefused(ctx, reasonTooLarge, fasthttp.StatusRequestEntityTooLarge, read)
}

// refuseBody refuses a body that could not be read: it did not come, in time or at all,
// or it came and is malformed.
func (b *Balancer) refuseBody(ctx *fasthttp.RequestCtx, body *clientBody, err error) {
	status, text := fasthttp.StatusBadRequest, "the body of the request is malformed\n"
	var failed net.Error
	timeout := errors.As(err, &failed) && failed.Timeout()
	if c := clientOf(body.conn); c != nil && c.slow.Load() {
		timeout = true // fasthttp does not always tell
	}
	switch {
	case timeout:
		status = fasthttp.StatusRequestTimeout
		fallthrough
	case body.absent, failed != nil, errors.Is(err, io.ErrUnexpectedEOF):
		text = "the body of the request did not come\n"
	}
	refuse(ctx, status, text)
	ctx.SetConnectionClose()
	b.finishRefused(ctx, reasonBody, status, body.read)
}
