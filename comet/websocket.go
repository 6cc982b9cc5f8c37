package comet

import (
	"net"
	"strings"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"github.com/halleycomet/halley/bayeux"
)

// upgrade makes a WebSocket of the request, on any path below Path. (CometD takes
// the exact path only; clients that append the message type would fail there.) The
// library negotiates; the frames are this package's own.
func (s *Server) upgrade(ctx *fasthttp.RequestCtx, plain bool) {
	if p := s.cfg.WebSocketProtocol; p != "" && !offers(ctx, p) {
		s.refuse(ctx, RefusedTransport, fasthttp.StatusBadRequest, "the WebSocket must offer the subprotocol "+p)
		return
	}
	upgrader := websocket.FastHTTPUpgrader{
		EnableCompression: s.cfg.WebSocketPermessageDeflate,
		Subprotocols:      s.cfg.subprotocols(),
		CheckOrigin:       func(*fasthttp.RequestCtx) bool { return true }, // was checked
		Error: func(ctx *fasthttp.RequestCtx, _ int, err error) {
			s.refuse(ctx, RefusedTransport, fasthttp.StatusBadRequest, err.Error())
		},
	}
	if upgrader.Upgrade(ctx, nil) != nil {
		return
	}
	from := s.requestOf(ctx)
	deflate, kept := len(ctx.Response.Header.Peek("Sec-WebSocket-Extensions")) > 0, s.kept(ctx)
	ctx.Hijack(func(conn net.Conn) { s.serveSocket(conn, deflate, plain, kept, from) })
}

// offers tells whether a request for a WebSocket offers a subprotocol.
func offers(ctx *fasthttp.RequestCtx, protocol string) bool {
	for offered := range strings.SplitSeq(string(ctx.Request.Header.Peek("Sec-WebSocket-Protocol")), ",") {
		if strings.TrimSpace(offered) == protocol {
			return true
		}
	}
	return false
}

// inOwnServer is the key of a user value that marks the requests of a server whose
// settings are ours.
type inOwnServer struct{}

// ownHandler is the handler of such a server.
func (s *Server) ownHandler(ctx *fasthttp.RequestCtx) {
	ctx.SetUserValue(inOwnServer{}, true)
	s.Handler(ctx)
}

// kept tells whether closing a hijacked connection is ours. In a server with other
// settings it is closed when the hijack handler returns.
func (s *Server) kept(ctx *fasthttp.RequestCtx) bool { return ctx.UserValue(inOwnServer{}) != nil }

// serveSocket makes a socket of a connection whose upgrade has been answered. It
// returns at once when closing the connection is ours (kept), and when the socket
// has ended otherwise.
func (s *Server) serveSocket(conn net.Conn, deflate, plain, kept bool, from *request) {
	first := buffered(conn, conn.SetReadDeadline)
	for {
		wrapped, ok := conn.(interface{ UnsafeConn() net.Conn })
		if !ok {
			break
		}
		conn = wrapped.UnsafeConn()
	}
	k := newSocket(s, conn, deflate, plain)
	k.request = from
	if !s.sessions.addSocket(k) {
		conn.SetWriteDeadline(time.Now().Add(closeGrace))
		_, _ = conn.Write(closeFrame(closeGoingAway, "leaving"))
		conn.Close()
		return
	}
	var over chan struct{}
	if !kept {
		over = make(chan struct{})
		k.over = over
	}
	k.reading = true
	k.begin(first)
	if over != nil {
		<-over
	}
}

// receive handles the text of one message.
func (s *Server) receive(k *socket, text []byte) {
	messages, err := bayeux.Parse(text)
	if err != nil {
		s.refuseFrame(k, refusalOf(err), closeInvalid, "not a list of messages")
		return
	}
	s.frame(messages, k, k.plain)
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
	x := &exchange{
		srv: s, transport: webSocket, plain: plain, sock: k, alone: len(messages) == 1,
		remote: k.conn.RemoteAddr(), request: k.request,
	}
	if len(messages) > 0 && messages[0].Channel != bayeux.MetaHandshake {
		x.session = x.find(messages[0].ClientID)
	}
	if old := k.attached(); x.session != nil && old != x.session {
		if old != nil {
			old.unbind(k)
		}
		x.session.bind(k)
	}
	x.handle(messages)
	switch {
	case len(x.greeting) > 0:
		x.session.greet(k, x.replies[0], x.greeting)
	case len(x.replies) > 0 || len(messages) == 0:
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
		if reply, ok := s.outgoingReply(c.message, x.session, c.reply); ok {
			x.sock.reply(reply)
		}
		return
	}
	if c.hold > 0 {
		h := &hold{sock: x.sock, reply: c.reply, message: c.message, turn: c.turn}
		if x.session.arm(h, c.hold) || h.replaced {
			return
		}
	}
	x.session.answerSocket(x.sock, c)
}

// refuseFrame counts a frame that is no list of messages, and closes.
func (s *Server) refuseFrame(k *socket, why Refusal, code int, text string) {
	s.refused(why, zap.Stringer("remote", k.conn.RemoteAddr()))
	k.close(code, text)
}
