package comet

import (
	"bufio"
	"errors"
	"io"
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

// largeBody is an answer of more than writeChunk bytes. fasthttp gives an answer
// the write timeout as a whole; here each chunk has it, so that a slow client that
// has much to catch up with is not cut: what such an answer carried is lost then.
type largeBody struct {
	srv  *Server
	conn net.Conn
	rest []byte
	lent int // of the backlog
}

// Close is called by fasthttp, whatever became of the answer.
func (b *largeBody) Close() error {
	b.srv.backlog.giveBack(b.lent)
	b.lent = 0
	return nil
}

// WriteTo writes the answer, and leaves no deadline behind that a fasthttp server
// without a timeout of its own would not know of.
func (b *largeBody) WriteTo(w io.Writer) (n int64, err error) {
	for len(b.rest) > 0 && err == nil {
		chunk := b.rest[:min(len(b.rest), writeChunk)]
		b.conn.SetWriteDeadline(time.Now().Add(b.srv.cfg.WriteTimeout))
		var m int
		m, err = w.Write(chunk)
		n, b.rest = n+int64(m), b.rest[m:]
	}
	if buffered, ok := w.(*bufio.Writer); ok && err == nil {
		err = buffered.Flush()
	}
	b.conn.SetWriteDeadline(time.Time{})
	return n, err
}

// Read is what makes it a body. fasthttp prefers WriteTo.
func (b *largeBody) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

// renewDeadline gives what is written before an answer is made, as "100 Continue"
// is, and the answer to what is no request, a deadline: fasthttp sets none there,
// and that of the last answer on the connection may be over.
func (s *Server) renewDeadline(conn net.Conn, state fasthttp.ConnState) {
	if state == fasthttp.StateActive {
		conn.SetWriteDeadline(time.Now().Add(s.cfg.WriteTimeout))
	}
}
