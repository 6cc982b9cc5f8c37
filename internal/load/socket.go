package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
)

// socket is a WebSocket.
type socket struct {
	conn    *websocket.Conn
	timeout time.Duration
	mu      sync.Mutex // held while a frame is written
}

// writeBuffers are shared: a client writes rarely.
var writeBuffers sync.Pool

func (d *dialer) socket(ctx context.Context, client int) (link, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return d.from(ctx, client) }
	wd := websocket.Dialer{
		NetDialContext: dial, NetDialTLSContext: dial, HandshakeTimeout: d.timeout,
		ReadBufferSize: 4096, WriteBufferSize: 1024, WriteBufferPool: &writeBuffers,
	}
	u := *d.target
	u.User = nil
	u.Scheme = map[bool]string{true: "wss", false: "ws"}[d.secure()]
	var header http.Header
	if d.token != "" {
		header = http.Header{"Authorization": {"Bearer " + d.token}}
	}
	conn, answer, err := wd.DialContext(ctx, u.String(), header) //nolint:bodyclose // what is left of a refused upgrade's body is in memory
	if errors.Is(err, websocket.ErrBadHandshake) && answer != nil {
		return nil, fmt.Errorf("no WebSocket there: %s", answer.Status)
	}
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(maxAnswer)
	return &socket{conn: conn, timeout: d.timeout}, nil
}

func (s *socket) send(request []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
		return err
	}
	return s.conn.WriteMessage(websocket.TextMessage, request)
}

func (s *socket) receive() (*[]byte, error) {
	_, r, err := s.conn.NextReader()
	if err != nil {
		return nil, closed(err)
	}
	text := texts.Get().(*[]byte)
	into := bytes.NewBuffer((*text)[:0])
	if _, err := io.Copy(into, r); err != nil {
		return nil, closed(err)
	}
	*text = into.Bytes()
	return text, nil
}

// closed leaves the text of a close frame out of the error, so that equal ends
// count as one.
func closed(err error) error {
	var c *websocket.CloseError
	if errors.As(err, &c) {
		return fmt.Errorf("closed with %d", c.Code)
	}
	return err
}

func (s *socket) deadline(t time.Time) { _ = s.conn.SetReadDeadline(t) } // the next read tells of a closed one
func (s *socket) duplex() bool         { return true }
func (s *socket) close()               { s.conn.Close() }
