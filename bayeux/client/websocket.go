package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/halleycomet/halley/bayeux"
)

// socket is a link over one WebSocket. One goroutine reads; whoever sends,
// writes, one at a time.
type socket struct {
	// Fixed after construction.
	c       *Client
	conn    *websocket.Conn
	writing chan struct{} // holds one element while somebody writes
	failed  chan struct{} // closed by fail
	read    chan struct{} // closed when the reader has returned

	// Guarded by mu.
	mu    sync.Mutex
	calls map[string]*call
	err   error // why it failed
}

// dialError is a WebSocket that did not open.
type dialError struct {
	reached bool // TCP connected
	err     error
}

func (e *dialError) Error() string { return "open WebSocket: " + e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// dialSocket opens a WebSocket and starts its reader. Errors are *dialError.
func (c *Client) dialSocket(ctx context.Context) (*socket, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.MaxNetworkDelay)
	defer cancel()
	dial := c.cfg.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	failure := &dialError{}
	var stop func() bool
	d := websocket.Dialer{
		Proxy:            c.cfg.Proxy,
		Jar:              c.jar,
		TLSClientConfig:  c.cfg.TLS,
		HandshakeTimeout: c.cfg.MaxNetworkDelay,
		NetDialContext: func(dialing context.Context, network, addr string) (net.Conn, error) {
			nc, err := dial(dialing, network, addr)
			if err == nil {
				failure.reached = true
				// The library waits for the answer without a look at the context.
				stop = context.AfterFunc(ctx, func() { nc.Close() })
			}
			return nc, err
		},
	}
	conn, resp, err := d.DialContext(ctx, c.socketURL, c.cfg.Header.Clone()) //nolint:bodyclose // what is left of a refused upgrade's body is in memory
	if stop != nil && !stop() && err == nil {
		conn.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		if errors.Is(err, websocket.ErrBadHandshake) && resp.StatusCode != http.StatusSwitchingProtocols {
			err = &StatusError{Status: resp.StatusCode}
		}
		if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
			err = fmt.Errorf("%w (%w)", ctx.Err(), err)
		}
		failure.err = err
		return nil, failure
	}
	conn.SetReadLimit(c.cfg.MaxMessageSize)
	s := &socket{
		c:       c,
		conn:    conn,
		writing: make(chan struct{}, 1),
		failed:  make(chan struct{}),
		read:    make(chan struct{}),
		calls:   make(map[string]*call),
	}
	go s.reader()
	return s, nil
}

func (s *socket) transport() Transport    { return WebSocket }
func (s *socket) broken() <-chan struct{} { return s.failed }

func (s *socket) reader() {
	defer close(s.read)
	for {
		kind, body, err := s.conn.ReadMessage()
		if err != nil {
			s.fail(readError(err))
			return
		}
		if kind != websocket.TextMessage {
			s.c.ignoredFrame.Add(1) // CometD ignores them as well
			continue
		}
		msgs, err := bayeux.Parse(body)
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrProtocol, err)
		} else {
			err = s.c.receive(s, msgs, s.find)
		}
		if err != nil {
			s.fail(err)
			return
		}
	}
}

// readError puts a read error into this package's words.
func readError(err error) error {
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		return &CloseError{Code: closed.Code, Reason: closed.Text}
	}
	if errors.Is(err, websocket.ErrReadLimit) {
		return ErrTooLarge
	}
	return &CloseError{Code: websocket.CloseAbnormalClosure, Reason: err.Error()}
}

func (s *socket) find(m *bayeux.Message) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.calls[m.ID]
	if k == nil {
		return nil
	}
	i := k.wants(m)
	delete(s.calls, m.ID)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if k.err == nil {
			k.answer(i, m)
		}
	}
}

func (s *socket) exchange(ctx context.Context, out outgoing, wait time.Duration) ([]Reply, error) {
	k := newCall(out.ids)
	if err := s.expect(k); err != nil {
		return nil, err
	}
	if err := s.write(ctx, out.body); err != nil {
		s.forget(k, err)
		return nil, err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-k.done:
	case <-ctx.Done():
		s.forget(k, ctx.Err())
	case <-timer.C:
		s.fail(ErrTimeout)
	}
	<-k.done
	if k.err != nil {
		return nil, k.err
	}
	return k.replies, nil
}

func (s *socket) expect(k *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	for _, id := range k.ids {
		s.calls[id] = k
	}
	return nil
}

// forget ends a call that nobody waits for any more.
func (s *socket) forget(k *call, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(k, err)
}

// end needs mu.
func (s *socket) end(k *call, err error) {
	for _, id := range k.ids {
		delete(s.calls, id)
	}
	if k.left > 0 && k.err == nil {
		k.err = err
		close(k.done)
	}
}

func (s *socket) write(ctx context.Context, body []byte) error {
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-s.failed:
		return s.failure()
	case <-ctx.Done():
		return ctx.Err()
	}
	// Not bounded by ctx: half a frame would spoil the socket for all.
	err := s.conn.SetWriteDeadline(time.Now().Add(s.c.cfg.MaxNetworkDelay))
	if err == nil {
		err = s.conn.WriteMessage(websocket.TextMessage, body)
	}
	if err != nil {
		// The reader may know the reason: a close frame that came before.
		s.fail(&CloseError{Code: websocket.CloseAbnormalClosure, Reason: err.Error()})
		return s.failure()
	}
	return nil
}

func (s *socket) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// fail ends the socket at once and everybody who waits on it.
func (s *socket) fail(err error) {
	if s.setFailed(err) {
		s.conn.Close()
	}
}

func (s *socket) setFailed(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return false
	}
	s.err = err
	close(s.failed)
	for _, k := range s.calls {
		s.end(k, err)
	}
	return true
}

// close says a proper goodbye and waits until the server has echoed it, at most
// until ctx ends.
func (s *socket) close(ctx context.Context, reason string) {
	defer func() { <-s.read }()
	defer s.fail(ErrClosed)
	deadline, ok := ctx.Deadline()
	if !ok {
		return
	}
	frame := websocket.FormatCloseMessage(websocket.CloseNormalClosure, reason)
	if s.conn.WriteControl(websocket.CloseMessage, frame, deadline) != nil {
		return
	}
	select {
	case <-s.read:
	case <-ctx.Done():
	}
}
