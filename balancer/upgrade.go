package balancer

import (
	"bufio"
	"bytes"
	"fmt"

	"github.com/valyala/fasthttp"
)

// isUpgrade tells whether a request asks for a WebSocket (RFC 6455, 4.1). Other
// upgrades, h2c among them, are not passed on: the request is served as it stands,
// as a server that does not know them does.
func isUpgrade(h *fasthttp.RequestHeader) bool {
	return h.IsGet() && h.IsHTTP11() &&
		listed(h.PeekAll(fasthttp.HeaderConnection), []byte("upgrade")) &&
		listed(h.PeekAll(fasthttp.HeaderUpgrade), []byte("websocket"))
}

// passUpgrade passes the answer to an upgrade on. A 101 begins a tunnel and is
// passed on as the comet wrote it, but for the cookie; any other answer is one like
// others.
func (b *Balancer) passUpgrade(ctx *fasthttp.RequestCtx, rq *exchange) pass {
	return func(w *wire, d decision, end func()) *failure {
		br := getReader(w)
		head, err := peekHead(br)
		if err != nil {
			putReader(br)
			w.close()
			return &failure{stage: stageAnswering, err: fmt.Errorf("read answer to upgrade: %w", err)}
		}
		if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
			return relay(ctx, w, br, &rq.conf.Limits, &rq.rec, b.answered(rq, d, end), nil)
		}
		answer := append([]byte(nil), head[:len(head)-2]...)
		if d.setCookie != "" {
			answer = appendLine(answer, fasthttp.HeaderSetCookie, []byte(rq.conf.Cookie.SetCookie(d.setCookie)))
		}
		if rq.from.idName != "" {
			answer = appendLine(answer, rq.from.idName, rq.from.id.bytes())
		}
		answer = append(answer, "\r\n"...)
		_, _ = br.Discard(len(head)) // what was peeked at is there
		rest, _ := br.Peek(br.Buffered())
		frames := append(append([]byte(nil), rest...), w.rest()...)
		putReader(br)
		ctx.Response.SetStatusCode(fasthttp.StatusSwitchingProtocols) // which is not sent, but recorded
		b.finishAnswered(rq, d)
		b.openTunnel(ctx, rq, w, d, answer, frames, end)
		return nil
	}
}

// peekHead waits for the whole head of an answer, to the empty line, and leaves it
// in the reader.
func peekHead(br *bufio.Reader) ([]byte, error) {
	for n := 1; ; n = br.Buffered() + 1 {
		if _, err := br.Peek(n); err != nil {
			return nil, err
		}
		seen, _ := br.Peek(br.Buffered())
		if i := bytes.Index(seen, []byte("\r\n\r\n")); i >= 0 {
			return seen[:i+4], nil
		}
	}
}
