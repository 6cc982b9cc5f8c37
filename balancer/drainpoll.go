package balancer

import (
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/halleycomet/halley/bayeux"
	"github.com/valyala/fasthttp"
)

// farewell is the part of an exchange that moves its client: its /meta/connect is asked
// not to be held, so that the comet answers at once with all that waits for the
// client. That answer is passed on, and its connect reply says that the session is
// unknown, with advice to handshake. The session is ended at the comet a little later:
// what its client has sent already is still taken.
//
// A client with the ack extension is moved by an answer that brings nothing but
// replies: all that came before has been acknowledged by the connect itself.
type farewell struct {
	drain *drain
	acks  bool // the connect acknowledges: the ack extension is in use
	last  bool // the time is over: it is moved whatever the answer brings
}

// A poll whose turn has not come may be held for as long, so that it comes again soon.
const deniedLeast, deniedMost = time.Second, 3 * time.Second

// takeTurn is asked before a poll is sent to c: does it move its client? If it does,
// the request is changed for that; one that is to come again soon is changed, too.
func (b *Balancer) takeTurn(rq *exchange, d decision) {
	if d.reason == ReasonDraining {
		rq.from.plain = true // the answer tells whether the comet knows the session
	}
	dr := d.comet.living().drain.Load()
	if dr == nil || rq.rec.kind != recordPoll || rq.farewell != nil {
		return
	}
	now := time.Now()
	if d.reason != ReasonDraining { // else it may be nobody of the comet's
		dr.polled.Store(now.UnixNano())
	}
	if b.fleet.snapshot().takers() == 0 {
		return // there is nowhere to go
	}
	connect := rq.connect()
	late := dr.late(now)
	if !late && !dr.turn() {
		rq.hurry(connect, deniedLeast+rand.N(deniedMost-deniedLeast))
		return
	}
	rq.farewell = &farewell{drain: dr, acks: connect.ExtField("ack") != "", last: late}
	rq.hurry(connect, 0)
	rq.out.wait = min(rq.out.wait, rq.conf.Limits.UpstreamTimeout)
	rq.from.plain = true
}

// connect is the /meta/connect of a poll.
func (rq *exchange) connect() *bayeux.Message {
	for i := range rq.messages {
		if rq.messages[i].Channel == bayeux.MetaConnect {
			return &rq.messages[i]
		}
	}
	return nil
}

// hurry bounds how long the comet may hold the connect.
func (rq *exchange) hurry(connect *bayeux.Message, most time.Duration) {
	if a, ok := bayeux.ParseAdvice(connect.Advice); ok && a.Timeout >= 0 && a.Timeout <= most {
		return
	}
	if rq.original == nil {
		rq.original = &original{connect: *connect, body: rq.out.body, length: rq.from.body, target: rq.from.target, wait: rq.out.wait}
	}
	connect.Set("advice", connect.Advice.With("timeout", bayeux.RawJSON(strconv.FormatInt(most.Milliseconds(), 10))))
	rq.write(rq.messages, &rq.out, &rq.from)
}

// original is a request as its client sent it, before its connect was hurried.
type original struct {
	connect bayeux.Message
	body    []byte
	length  int64
	target  []byte
	wait    time.Duration
}

// asItCame takes back what was changed to move the client: it is no client of the
// comet that drains.
func (rq *exchange) asItCame() {
	if t := rq.farewell; t != nil {
		t.drain.giveBack()
	}
	rq.farewell = nil
	if o := rq.original; o != nil {
		rq.original = nil
		*rq.connect() = o.connect
		rq.out.body, rq.from.body, rq.from.target, rq.out.wait = o.body, o.length, o.target, o.wait
	}
	rq.from.plain = false
}

// passWhole passes on an answer that is to be looked at as a whole: one that moves its
// client, or of a comet that may not know the session.
func (b *Balancer) passWhole(rq *exchange, w *wire, d decision, end func()) *failure {
	response := &rq.ctx.Response
	if fail := relay(rq.ctx, w, getReader(w), &rq.conf.Limits, &rq.rec, func() {}, nil); fail != nil {
		return fail
	}
	if rq.ctx.Hijacked() { // a client of HTTP/1.0 gets it as it comes
		end()
		b.finishAnswered(rq, d)
		return nil
	}
	if response.IsBodyStream() {
		whole, err := io.ReadAll(response.BodyStream())
		if closeErr := response.CloseBodyStream(); err != nil || closeErr != nil {
			return &failure{stage: stageAnswering, err: io.ErrUnexpectedEOF}
		}
		response.ImmediateHeaderFlush = false
		response.SetBodyRaw(whole)
	}
	if d.reason == ReasonDraining && isUnknown(response.Body()) {
		rq.stranger = true
		rq.asItCame()
		response.Reset()
		return &failure{stage: stageStranger, err: errStranger}
	}
	if rq.rec.kind == recordPoll {
		if dr := d.comet.living().drain.Load(); dr != nil {
			dr.polled.Store(time.Now().UnixNano())
		}
	}
	switch {
	case rq.farewell != nil:
		b.move(rq, d)
	case rq.called:
		b.sendOn(rq)
	}
	end()
	b.finishAnswered(rq, d)
	return nil
}

// move makes of the answer of a comet the one that moves its client, if it can be.
func (b *Balancer) move(rq *exchange, d decision) {
	t, response := rq.farewell, &rq.ctx.Response
	replies, err := bayeux.Parse(unwrapJSONP(rq.callback, response.Body()))
	if err != nil || response.StatusCode() != fasthttp.StatusOK {
		return // superseded by another poll, say
	}
	reply, bare := connectReply(replies)
	switch {
	case reply == nil:
		return
	case !reply.Successful:
		if a, ok := bayeux.ParseAdvice(reply.Advice); ok && a.Reconnect == bayeux.ReconnectHandshake {
			b.moved(t.drain, false) // by the comet itself
		}
		return
	case t.acks && !bare && !t.last:
		return // its next connect says that this has come
	}
	connect := rq.connect()
	b.partLater(rq, d, connect.ClientID)
	lost := sessionLost(b.moveInterval())(connect)
	reply.Raw = bayeux.RawJSON(lost.AppendJSON(nil))
	rq.rewrite(replies)
	b.moved(t.drain, t.acks && !bare)
}

// rewrite makes an answer of these messages.
func (rq *exchange) rewrite(messages []bayeux.Message) {
	body := appendMessages(nil, messages)
	if rq.callback != "" {
		body = bayeux.AppendJSONP(nil, rq.callback, body)
	}
	rq.ctx.Response.SetBodyRaw(body)
	rq.ctx.Response.Header.Del(fasthttp.HeaderETag)
	rq.rec.out = int64(len(body))
}

// moved counts a client that was moved by its poll.
func (b *Balancer) moved(dr *drain, forced bool) {
	dr.polls.Add(1)
	counts := dr.comet.living().counts
	counts.moved[movedByPoll].Inc()
	if forced {
		dr.forced.Add(1)
		counts.moved[movedByForce].Inc()
	}
}

// connectReply finds the reply to the connect. The answer is bare when it brings
// nothing but replies.
func connectReply(replies []bayeux.Message) (reply *bayeux.Message, bare bool) {
	bare = true
	for i := range replies {
		switch m := &replies[i]; {
		case !m.HasSuccessful:
			bare = false
		case m.Channel == bayeux.MetaConnect:
			reply = m
		}
	}
	return reply, bare
}

// moveInterval is after how long a client that is moved shall handshake. The drain's
// own rate is bounded; while the clients of a comet that died come back, too, it waits
// for its turn among them.
func (b *Balancer) moveInterval() time.Duration {
	var longest time.Duration
	for _, c := range b.fleet.snapshot().comets {
		if c.is(Down) {
			longest = max(longest, b.fleet.herdInterval(c))
		}
	}
	return longest
}

// pushOut answers a poll that is broken off at the end of a drain and cannot be sent
// again, because of what else is in its batch.
func (b *Balancer) pushOut(c *comet) *outcome {
	if dr := c.living().drain.Load(); dr != nil {
		b.moved(dr, true)
	}
	lost, unsure := sessionLost(b.moveInterval()), cometLost(0)
	return &outcome{why: ReasonDrained, reply: func(m *bayeux.Message) bayeux.Reply {
		if m.Channel == bayeux.MetaConnect {
			return lost(m)
		}
		return unsure(m)
	}}
}
