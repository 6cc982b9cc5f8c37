package comet

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"github.com/halleycomet/halley/bayeux"
)

// poll serves one request of long-polling or, with a callback, callback-polling.
func (s *Server) poll(ctx *fasthttp.RequestCtx, t transport, callback string, plain bool) {
	messages, err := s.messages(ctx, t)
	if err != nil {
		s.refuseError(ctx, err)
		return
	}
	x := &exchange{
		srv: s, transport: t, plain: plain, alone: len(messages) == 1,
		remote: ctx.RemoteAddr(), request: s.requestOf(ctx), cookie: s.cookieOf(ctx),
	}
	if len(messages) > 0 {
		if !alone(messages) {
			s.refuse(ctx, RefusedAlone, fasthttp.StatusBadRequest, "a handshake must be the only message of its request")
			return
		}
		if messages[0].Channel != bayeux.MetaHandshake {
			x.session = x.find(messages[0].ClientID)
		}
	}
	carries := x.session != nil && messages[0].Channel != bayeux.MetaConnect && t != callbackPolling
	if carries {
		// What is queued from here on travels with this answer, ahead of the
		// replies; a held connect is not woken for it.
		x.session.begin()
		defer x.session.end()
	}
	x.handle(messages)
	for _, f := range x.after {
		defer f()
	}
	if x.shook {
		s.mint(ctx, x.cookie, x.minted)
	}
	var waiting []*outgoing
	for _, c := range x.connects {
		reply, more, ok := s.answerConnect(ctx, x, c, callback)
		if !ok {
			return
		}
		waiting = append(waiting, more...)
		if reply, ok := s.outgoingReply(c.message, x.session, reply); ok {
			x.replies = append(x.replies, reply)
		}
	}
	if carries {
		waiting = append(waiting, x.session.take()...)
	}
	waiting = append(waiting, x.greeting...)
	s.answer(ctx, x.session, callback, waiting, x.replies)
}

// alone tells whether the rule about handshakes is kept.
func alone(messages []bayeux.Message) bool {
	if len(messages) < 2 {
		return true
	}
	for i := range messages {
		if messages[i].Channel == bayeux.MetaHandshake {
			return false
		}
	}
	return true
}

// answerConnect waits, if the connect is to be held, until it is completed, and
// returns its reply and the messages that go with it. ok is false when the
// response is made already, or will be by a parked poll.
func (s *Server) answerConnect(ctx *fasthttp.RequestCtx, x *exchange, c connect, callback string) (reply bayeux.Reply, messages []*outgoing, ok bool) {
	if c.reply.Error != "" {
		if x.session != nil && x.session.endedByServer() {
			messages = x.session.goodbye()
		}
		return c.reply, messages, true
	}
	why := releaseMessages
	if c.hold > 0 {
		p := waitingPoll(x.session, c.reply, callback, browser{browserOf(x.cookie), x.transport})
		p.message, p.hold.turn = c.message, c.turn
		if x.session.arm(&p.hold, c.hold) {
			if why, ok = p.wait(ctx); !ok {
				return reply, nil, false
			}
		} else if p.hold.crowded {
			why = releaseCrowded
		} else if p.hold.replaced {
			why = releaseReplaced
		}
	}
	switch why {
	case releaseReplaced:
		ctx.Response.ResetBody()
		ctx.SetStatusCode(s.cfg.DuplicateMetaConnectHTTPResponseCode)
		return reply, nil, false
	case releaseHangup:
		ctx.SetConnectionClose()
		return reply, nil, false
	}
	reply, messages = x.session.answerPoll(c.reply, why, c.turn)
	return reply, messages, true
}

// answer writes the response: the messages first, the replies after them, that to
// a connect last. Only the reply to a handshake comes before the messages that go
// with it. A large one that finds no room is not made, and the connection is closed.
func (s *Server) answer(ctx *fasthttp.RequestCtx, session *session, callback string, messages []*outgoing, replies []bayeux.Reply) {
	size := 2 + len(messages) + 160*len(replies)
	for _, m := range messages {
		size += len(m.json)
	}
	large := size > writeChunk
	if large && !s.backlog.lend(size) {
		s.unanswered(session, len(messages))
		ctx.Response.ResetBody()
		ctx.SetConnectionClose()
		ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
		return
	}
	out := appendAnswer(make([]byte, 0, size), callback, messages, replies)
	setAnswerHeaders(&ctx.Response.Header, callback)
	if large {
		ctx.Response.SetBodyStream(&largeBody{srv: s, conn: ctx.Conn(), rest: out, lent: size}, len(out))
		return
	}
	ctx.Response.SetBodyRaw(out)
}

// setAnswerHeaders sets the headers that every answer with messages or replies has.
func setAnswerHeaders(h *fasthttp.ResponseHeader, callback string) {
	h.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	if callback == "" {
		h.SetContentType("application/json")
	} else {
		h.SetContentType("text/javascript; charset=utf-8")
	}
}

// appendAnswer appends the body of an answer.
func appendAnswer(dst []byte, callback string, messages []*outgoing, replies []bayeux.Reply) []byte {
	begin := len(dst)
	dst = append(dst, '[')
	if len(replies) == 1 && replies[0].Channel == bayeux.MetaHandshake {
		dst, replies = replies[0].AppendJSON(dst), nil
	}
	for _, m := range messages {
		if len(dst) > begin+1 {
			dst = append(dst, ',')
		}
		dst = append(dst, m.json...)
	}
	for i := range replies {
		if len(dst) > begin+1 {
			dst = append(dst, ',')
		}
		dst = replies[i].AppendJSON(dst)
	}
	dst = append(dst, ']')
	if callback == "" {
		return dst
	}
	return bayeux.AppendJSONP(dst[:begin], callback, bytes.Clone(dst[begin:]))
}
