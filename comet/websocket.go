package comet

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/klauspost/compress/flate"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/bayeux"
)

// noBuffers is never drawn from: frames are written by this package. It keeps the
// library from holding a write buffer per connection.
var noBuffers = &sync.Pool{}

// upgrade makes a WebSocket of the request, on any path below Path. (CometD takes
// the exact path only; clients that append the message type would fail there.)
func (s *Server) upgrade(ctx *fasthttp.RequestCtx, plain bool) {
	upgrader := websocket.FastHTTPUpgrader{
		ReadBufferSize:    1024,
		WriteBufferPool:   noBuffers,
		EnableCompression: s.cfg.Compression,
		CheckOrigin:       func(*fasthttp.RequestCtx) bool { return true }, // was checked
		Error: func(ctx *fasthttp.RequestCtx, _ int, err error) {
			s.refuse(ctx, RefusedTransport, fasthttp.StatusBadRequest, err.Error())
		},
	}
	deflate := false // written by the handler of the request, read afterwards by that of the socket
	err := upgrader.Upgrade(ctx, func(conn *websocket.Conn) { s.serveSocket(conn, deflate, plain) })
	deflate = err == nil && len(ctx.Response.Header.Peek("Sec-WebSocket-Extensions")) > 0
}

// serveSocket reads a WebSocket until it ends.
func (s *Server) serveSocket(conn *websocket.Conn, deflate, plain bool) {
	k := newSocket(conn.NetConn(), deflate, s.cfg.WriteTimeout)
	defer conn.Close()
	if !s.sessions.addSocket(k) {
		k.close(closeGoingAway, "leaving")
		k.shut(true)
		return
	}
	defer s.sessions.removeSocket(k)
	conn.SetReadLimit(int64(s.cfg.MaxMessageSize))
	conn.SetPingHandler(func(data string) error { k.ponged(pongFrame(data)); return nil })
	conn.SetCloseHandler(func(code int, _ string) error {
		if code == websocket.CloseNoStatusReceived {
			code = 0
		}
		k.close(code, "")
		return nil
	})
	err := s.readSocket(conn, k, plain)
	if session := k.attached(); session != nil {
		session.unbind(k)
	}
	switch {
	case k.ended(): // and was counted, if it was refused
	case errors.Is(err, websocket.ErrReadLimit):
		s.refused(RefusedTooLarge)
		// Only for a length that is no length; otherwise the library has done it,
		// and does not do it twice.
		_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(closeTooLarge, ""), time.Now().Add(closeGrace))
	case isViolation(err):
		s.refused(RefusedFrame, zap.Error(err))
	}
	// A close frame, ours or the answer to the client's, still leaves.
	k.shut(k.ended())
}

func (s *Server) readSocket(conn *websocket.Conn, k *socket, plain bool) error {
	for {
		k.throttle()
		k.expect(s.cfg.SocketIdleTimeout)
		kind, r, err := conn.NextReader()
		if err != nil {
			return err
		}
		if k.ended() {
			continue // until the client's close frame, or the end of its time
		}
		if kind != websocket.TextMessage {
			s.refuseFrame(k, RefusedBinary, closeUnsupported, "binary messages are not supported")
			continue
		}
		if err := s.readFrame(r, k, plain); err != nil {
			return err
		}
	}
}

var frames = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// readFrame reads one message of the WebSocket and handles what it holds. The
// limit is enforced again, since the library's is about the compressed form.
func (s *Server) readFrame(r io.Reader, k *socket, plain bool) error {
	buf := frames.Get().(*bytes.Buffer)
	buf.Reset()
	defer frames.Put(buf)
	n, err := buf.ReadFrom(io.LimitReader(r, int64(s.cfg.MaxMessageSize)+1))
	switch {
	case n > int64(s.cfg.MaxMessageSize):
		s.refuseFrame(k, RefusedTooLarge, closeTooLarge, "message too large")
		return nil
	case err != nil && !isCorrupt(err):
		return err
	case err != nil:
		s.refuseFrame(k, RefusedJSON, closeInvalid, "not decompressible")
		return nil
	}
	messages, err := bayeux.Parse(buf.Bytes())
	if err != nil {
		s.refuseFrame(k, refusalOf(err), closeInvalid, "not a list of messages")
		return nil
	}
	s.frame(messages, k, plain)
	return nil
}

// frame handles the messages of one frame. The socket serves the session of the
// first, to which it moves when that is another one than before: whoever knows a
// clientId may speak for it, on any socket. (CometD keeps a socket with its first
// session and answers 402 to others while that lives.)
func (s *Server) frame(messages []bayeux.Message, k *socket, plain bool) {
	defer func() {
		if fault := recover(); fault != nil {
			s.log.Error("panic in a WebSocket", zap.Any("panic", fault), zap.Stack("stack"))
			s.refuseFrame(k, RefusedPanic, closeFault, "internal error")
		}
	}()
	if !alone(messages) {
		s.refuseFrame(k, RefusedAlone, closePolicy, "a handshake must be alone")
		return
	}
	x := &exchange{srv: s, transport: webSocket, plain: plain, sock: k, alone: len(messages) == 1}
	if len(messages) > 0 && messages[0].Channel != bayeux.MetaHandshake {
		x.session = s.sessions.find(messages[0].ClientID)
	}
	if old := k.attached(); x.session != nil && old != x.session {
		if old != nil {
			old.unbind(k)
		}
		x.session.bind(k)
	}
	x.handle(messages)
	if len(x.replies) > 0 || len(messages) == 0 {
		k.reply(x.replies...)
	}
	for _, c := range x.connects {
		s.holdOnSocket(x, c)
	}
	for _, f := range x.after {
		f()
	}
}

// holdOnSocket holds a connect as a heartbeat: messages are pushed meanwhile, and
// it is answered when its time is over.
func (s *Server) holdOnSocket(x *exchange, c connect) {
	if c.reply.Error != "" {
		x.sock.reply(c.reply)
		return
	}
	if c.hold > 0 && x.session.arm(&hold{sock: x.sock, reply: c.reply}, c.hold) {
		return
	}
	_, state, interval := x.session.answered(false)
	x.sock.reply(s.connectReply(c.reply, s.outcome(x.session, state), interval))
}

// refuseFrame counts a frame that is no list of messages, and closes.
func (s *Server) refuseFrame(k *socket, why Refusal, code int, text string) {
	s.refused(why, zap.Stringer("remote", k.conn.RemoteAddr()))
	k.close(code, text)
}

// isViolation tells bytes that are no WebSocket frames, which the library has
// answered with a close frame, from a connection that ended.
func isViolation(err error) bool {
	var closed *websocket.CloseError
	return !isNetwork(err) && !errors.As(err, &closed) && !errors.Is(err, io.EOF)
}

// isCorrupt tells that a message cannot be decompressed.
func isCorrupt(err error) bool {
	var input flate.CorruptInputError
	var fault flate.InternalError
	return errors.As(err, &input) || errors.As(err, &fault)
}

func isNetwork(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, websocket.ErrReadLimit) || websocket.IsCloseError(err, websocket.CloseAbnormalClosure)
}
